"""Text tables of others: no row is a comment, no comment is a row, and the header is found."""

import pytest

from photoz_run.errors import BadDataError
from photoz_run.tables.keys import positions
from photoz_run.tables.opening import open_table


def text(path, content):
    path.write_text(content)
    return path


ECSV = (
    "# %ECSV 1.0\n# ---\n# datatype:\n"
    "# - {name: ID, datatype: string}\n# - {name: Z, datatype: float64}\n"
)


@pytest.mark.parametrize(
    "content",
    [
        "ID,Z\nG1,0.1\n#2,0.2\n",
        "ID,Z\n#1,0.1\n#2,0.2\n",
        "ID Z\nG1 0.1\n  #2 0.2\n",
        "ID\tZ\nG1\t0.1\n#2\t\n",
        ECSV + "ID Z\nG1 0.1\n#2 0.2\n",
    ],
)
def test_a_line_that_may_be_a_row_is_no_comment(tmp_path, content):
    with pytest.raises(BadDataError, match=r"the line '#\d\s?.*' may be a row or a comment"):
        open_table(text(tmp_path / "t", content)).read(["ID"])


@pytest.mark.parametrize(
    "content",
    [
        "ID,Z\nG1,0.1\n# G3,0.3\nG2,0.2\n",
        "#ID,Z\nG1,0.1\n#ID,Z\nG2,0.2\n",
        "ID Z\nG1 0.1\n#the end\nG2 0.2\n#\n",
        "ID,Z\nG1,0.1\n#done\nG2,0.2\n",
    ],
)
def test_what_is_a_comment_stays_one(tmp_path, content):
    table = open_table(text(tmp_path / "t", content))
    assert table.read(["ID", "Z"]).to_pydict() == {"ID": ["G1", "G2"], "Z": [0.1, 0.2]}


def test_texts_in_quotes_keep_what_looks_like_a_comment(tmp_path):
    path = text(tmp_path / "t.csv", 'ID,Z\n"#1",0.1\n"of two\n# lines",0.2\n5" wide,0.3\n# by me\n')
    assert open_table(path).read(["ID"])["ID"].to_pylist() == ["#1", "of two\n# lines", '5" wide']


@pytest.mark.parametrize("below", ["# -- deg deg", "#    deg deg", "# --- --- ---"])
def test_units_below_the_names_are_no_names(tmp_path, below):
    path = text(tmp_path / "t.txt", f"# ID RA DEC\n{below}\na 1.5 2.5\n")
    assert open_table(path).names == ["ID", "RA", "DEC"]


def test_a_vector_of_source_extractor_takes_several_columns(tmp_path):
    path = text(
        tmp_path / "t.cat",
        "#   1 NUMBER    Running object number\n"
        "#   2 MAG_APER  Fixed aperture magnitude vector  [mag]\n"
        "#   5 DELTA_J2000  Declination [deg]\n"
        "#   6 MAG_ISO  Isophotal magnitude  [mag]\n"
        "1 19.1 19.2 19.3 -31.5 19.4 19.5\n",
    )
    rows = open_table(path).read(["MAG_APER", "MAG_APER_2", "DELTA_J2000", "MAG_ISO", "MAG_ISO_1"])
    assert [values[0].as_py() for values in rows.columns] == [19.1, 19.3, -31.5, 19.4, 19.5]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (
            "\\fixlen = T\n|  ra  |  dec |\n|double|double|\n  1.0    2.0  \n",
            "an IPAC table, or one between bars",
        ),
        ("Title: x\n====\nByte-by-byte Description of file: x\n---\n", "an MRT or CDS table"),
        ("\\begin{tabular}{cc}\nID & RA \\\\\n", "a LaTeX table"),
    ],
)
def test_kinds_of_text_that_are_not_read_are_called_by_name(tmp_path, content, kind):
    with pytest.raises(BadDataError, match=f"{kind}; write it as ECSV with astropy"):
        open_table(text(tmp_path / "t", content))


def test_the_value_that_makes_a_column_text_is_shown(tmp_path):
    table = open_table(text(tmp_path / "t.csv", "RA,DEC\n1.5,1\n...,2\n"))
    with pytest.raises(BadDataError, match=r"column RA holds text \('...'\)"):
        positions(table, table.read(["RA", "DEC"]), ["RA", "DEC"])


@pytest.mark.parametrize("last", ["é", "aé", "éa", "éab", "éabc"])
def test_utf8_is_known_wherever_its_letters_lie(tmp_path, last):
    (tmp_path / "t.csv").write_text(f"Z,ID\n0.1,{last}\n", encoding="utf8")
    assert open_table(tmp_path / "t.csv").read(["ID"])["ID"].to_pylist() == [last]
