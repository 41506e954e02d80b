"""What a VOTable holds comes out, or one line says why not; astropy cuts and drops in silence."""

import pytest

from photoz_run.errors import BadDataError
from photoz_run.tables.opening import open_table

ROWS = "<TABLEDATA><TR><TD>1.5</TD><TD>{value}</TD></TR></TABLEDATA>"


def votable(path, value="1", field='datatype="int"', nrows=1, data=ROWS, before=""):
    """A table of the columns RA and T with one row."""
    path.write_text(
        f'<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>{before}'
        f'<TABLE nrows="{nrows}"><FIELD name="RA" datatype="double"/><FIELD name="T" {field}/>'
        f"<DATA>{data.format(value=value)}</DATA></TABLE></RESOURCE></VOTABLE>"
    )
    return path


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ('datatype="char"', "KiDS1", "texts longer than the arraysize"),
        ('datatype="char" arraysize="3*"', "KiDS1", "texts longer than the arraysize"),
        ('datatype="short"', "70000", r"whole numbers beyond .*'70000' is out of range"),
        ('datatype="int"', "5000000000", "whole numbers beyond the datatype"),
        ('datatype="double"', "1,5", r"a number that cannot be read .*'1,5'"),
        ('datatype="double"', "1.5D2", "a number that cannot be read"),
    ],
)
def test_values_that_astropy_would_change_are_refused(tmp_path, field, value, complaint):
    with pytest.raises(BadDataError, match=f"cannot be read as it is written: {complaint}"):
        open_table(votable(tmp_path / "t.vot", value, field))


@pytest.mark.parametrize("value", ["", "--", "N/A", "NaN"])
def test_what_people_write_for_a_missing_number_is_missing(tmp_path, value):
    path = votable(tmp_path / "t.vot", value, 'datatype="double"')
    assert open_table(path).read(["T"])["T"].to_pylist() == [None]


def test_every_number_of_missing_ones_is_looked_at(tmp_path):
    many = "".join(f"<TR><TD>1.5</TD><TD>{value}</TD></TR>" for value in ["--"] * 50 + ["1,5"])
    path = votable(
        tmp_path / "t.vot", field='datatype="double"', data=f"<TABLEDATA>{many}</TABLEDATA>"
    )
    with pytest.raises(BadDataError, match="'1,5'"):
        open_table(path)


def test_an_array_of_one_is_one_value(tmp_path):
    path = votable(tmp_path / "t.vot", "7", 'datatype="int" arraysize="1"')
    assert open_table(path).read(["T"])["T"].to_pylist() == [7]


def test_fewer_rows_than_it_says_are_refused(tmp_path):
    with pytest.raises(BadDataError, match=r"1 rows of 5 \(nrows\)"):
        open_table(votable(tmp_path / "t.vot", nrows=5))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ('<BINARY><STREAM href="file:rows.bin"/></BINARY>', "rows lie in another file"),
        ('<FITS><STREAM encoding="base64">U0lN</STREAM></FITS>', "rows are FITS"),
        ('<BINARY><STREAM encoding="gzip">H4sI</STREAM></BINARY>', "a packed STREAM"),
        ('<CSV colsep=";">1.5;1</CSV>', "rows in a format that VOTable does not have"),
    ],
)
def test_rows_that_are_not_there_are_told_by_their_cause(tmp_path, data, complaint):
    with pytest.raises(BadDataError, match=complaint):
        open_table(votable(tmp_path / "t.vot", data=data))


def test_an_element_without_a_name_is_no_traceback(tmp_path):
    with pytest.raises(BadDataError, match=r"not a readable VOTable .*'PARAM' element must have"):
        open_table(votable(tmp_path / "t.vot", before="<PARAM/>"))
