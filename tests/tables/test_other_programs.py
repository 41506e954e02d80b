"""Valid tables of other programs whose values are easily read as others, or lost in silence."""

from decimal import Decimal
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from photoz_run.errors import BadDataError, PhotozError
from photoz_run.tables.keys import ids
from photoz_run.tables.opening import open_table
from photoz_run.validation.tables import open_catalogue
from support.tables import BIG

CSV = "ID,RA,Z\nG1,180.1,0.1\nG2,180.2,0.2\n"


def read(path, *names):
    return open_table(path).read(names).to_pydict()


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def fits_table(path, cards, *columns):
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update(cards)
    table.writeto(path)
    return path


def text(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("kind", [pa.decimal128(20, 0), pa.decimal128(38, 0), pa.decimal256(50, 0)])
def test_whole_numbers_that_a_database_wrote_as_decimals_keep_every_digit(tmp_path, kind):
    values = [Decimal(BIG), Decimal(BIG + 1), None]
    path = parquet(tmp_path / "t.parquet", N=pa.array(values, kind))
    assert read(path, "N")["N"] == [BIG, BIG + 1, None]


@pytest.mark.parametrize("kind", [pa.decimal32(5, 0), pa.decimal64(12, 0)])
def test_small_decimals_are_whole_numbers_too(tmp_path, kind):
    path = parquet(tmp_path / "t.parquet", N=pa.array([Decimal(4), None], kind))
    assert read(path, "N")["N"] == [4, None]


@pytest.mark.parametrize("kind", [pa.decimal32(5, 1), pa.decimal128(38, 1), pa.decimal256(50, 1)])
def test_decimals_are_the_numbers_that_they_spell(tmp_path, kind):
    """A cut such as CC == 2.3 finds them; Arrow's own floats are off by their last bit."""
    values = [k / 10 for k in range(-50, 250)]
    written = [*(Decimal(str(value)) for value in values), None]
    path = parquet(tmp_path / "t.parquet", CC=pa.array(written, kind))
    assert read(path, "CC")["CC"] == [*values, None]


def test_decimals_beyond_64_bits_are_refused_by_name(tmp_path):
    values = pa.array([Decimal(2**64)], pa.decimal128(38, 0))
    with pytest.raises(BadDataError, match=r"column N holds decimal128\(38, 0\) beyond 64 bits"):
        read(parquet(tmp_path / "t.parquet", N=values), "N")


def test_types_beyond_those_of_arrow(tmp_path):
    known = UUID(int=7)
    names = pa.array([known.bytes, None], pa.uuid())
    truth = pa.ExtensionArray.from_storage(pa.bool8(), pa.array([2, None], pa.int8()))
    path = parquet(tmp_path / "t.parquet", ID=names, OK=truth)
    assert read(path, "ID", "OK") == {"ID": [str(known), None], "OK": [True, None]}


@pytest.mark.parametrize("kind", [pa.bool_(), pa.int8(), pa.float64()])
def test_a_mask_may_be_numbers(tmp_path, kind):
    """As astropy's mask columns come out of formats without truth values."""
    mask = pa.array([0, 1, 0]).cast(kind)
    path = parquet(tmp_path / "t.parquet", Z=pa.array([0.1, 0.2, 0.3]), **{"Z.mask": mask})
    assert read(path, "Z")["Z"] == [0.1, None, 0.3]


def test_a_mask_of_texts_is_refused(tmp_path):
    path = parquet(tmp_path / "t.parquet", Z=pa.array([0.1]), **{"Z.mask": pa.array(["no"])})
    with pytest.raises(
        BadDataError, match=r"column Z.mask holds text \('no'\), where true or false"
    ):
        read(path, "Z")


def test_a_float32_beside_an_offset_is_as_precise_as_it_was_written(tmp_path):
    offset = np.array([0.123456789, 1e-6], "f4")
    column = fits.Column("RA", "E", array=offset)
    path = fits_table(tmp_path / "t.fits", {"TZERO1": 180.0}, column)
    assert read(path, "RA")["RA"] == (180.0 + offset.astype(float)).tolist()


@pytest.mark.parametrize(
    ("scale", "zero", "expected"),
    [(1, BIG, [BIG + 1, BIG + 2]), (2, 3.0, [5, 7]), (-1, 2**62, [2**62 - 1, 2**62 - 2])],
)
def test_integers_with_whole_scale_and_offset_keep_every_digit(tmp_path, scale, zero, expected):
    column = fits.Column("ID", "K", array=np.array([1, 2]))
    path = fits_table(tmp_path / "t.fits", {"TSCAL1": scale, "TZERO1": zero}, column)
    assert read(path, "ID")["ID"] == expected


@pytest.mark.parametrize("kind", ["u2", "u4", "u8"])
def test_what_astropy_masks_in_an_unsigned_column_is_missing(tmp_path, kind):
    """Its TNULL is the number that is read; the standard's is the one that is stored."""
    Table({"N": MaskedColumn(np.array([1, 2], kind), mask=[False, True])}).write(
        tmp_path / "t.fits"
    )
    assert read(tmp_path / "t.fits", "N")["N"] == [1, None]


def test_the_null_of_an_unsigned_column_is_the_stored_number(tmp_path):
    column = fits.Column("N", "I", null=-32768, array=np.array([-32768, -32767], "i2"))
    path = fits_table(tmp_path / "t.fits", {"TZERO1": 32768}, column)
    assert read(path, "N")["N"] == [None, 1]


@pytest.mark.parametrize("told", ["TDIM", "SSTR"])
def test_several_texts_in_a_row_are_a_list(tmp_path, told):
    texts = np.array([["ab", "cd", "ef"]] * 2) if told == "TDIM" else ["ab  cd  ef"] * 2
    column = fits.Column("N", "12A", dim="(4,3)" if told == "TDIM" else None, array=texts)
    path = fits_table(tmp_path / "t.fits", {}, column, fits.Column("Z", "D", array=[0.1, 0.2]))
    if told == "SSTR":
        plain, several = b"'12A     ' ", b"'12A:SSTR4'"
        path.write_bytes(path.read_bytes().replace(plain, several))
    assert read(path, "Z")["Z"] == [0.1, 0.2]
    with pytest.raises(BadDataError, match="column N holds lists of 3 texts"):
        read(path, "N")


def ascii_table(path, cells):
    column = fits.Column("Z", "F8.4", ascii=True, array=np.full(len(cells), 1.2345))
    fits.TableHDU.from_columns([column]).writeto(path)
    rows = "".join(cell.rjust(8) for cell in cells).encode()
    stored = b"  1.2345" * len(cells)
    assert stored in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(stored, rows))
    return path


def test_a_point_that_is_left_out_lies_before_the_decimals(tmp_path):
    path = ascii_table(tmp_path / "t.fits", ["12345", "123E2", "1.5", "-2345"])
    assert read(path, "Z")["Z"] == [1.2345, 1.23, 1.5, -0.2345]


def test_a_number_that_was_too_wide_for_fortran_is_said_with_its_column(tmp_path):
    with pytest.raises(BadDataError, match=r"column Z holds text .*where a number is expected"):
        read(ascii_table(tmp_path / "t.fits", ["1.5", "********"]), "Z")


@pytest.mark.parametrize("odd", [b"\x85", b"\x0c", b"\x1c", "\u2028".encode(), b"\r"])
@pytest.mark.parametrize("between", [",", " "])
def test_only_line_feeds_end_lines(tmp_path, odd, between):
    """str.splitlines counts further lines, and a row for each would be taken for the header."""
    rows = CSV.replace(",", between).encode()
    path = text(tmp_path / "t.dat", b"# by cp1252 " + odd + b"\n" + rows)
    assert read(path, "ID", "Z") == {"ID": ["G1", "G2"], "Z": [0.1, 0.2]}


def test_carriage_returns_alone_are_said(tmp_path):
    with pytest.raises(BadDataError, match="carriage returns alone"):
        open_table(text(tmp_path / "t.csv", CSV.replace("\n", "\r")))


@pytest.mark.parametrize("first", ["ID,\rZ", "ID," + "Z" * 140_000])
def test_a_line_of_names_that_has_no_cells_is_said(tmp_path, first):
    with pytest.raises(BadDataError, match=r"not a readable text table \(the line of its names: "):
        open_table(text(tmp_path / "t.csv", f"{first}\nG1,0.1\n"))


@pytest.mark.parametrize("between", [",", " ", ", "])
def test_a_row_that_somebody_commented_out_is_no_row(tmp_path, between):
    content = CSV.replace(",", between).replace("G1", "# G1") + f"# G3{between}180{between}0.3"
    path = text(tmp_path / "t.csv", content)
    assert read(path, "ID", "Z") == {"ID": ["G2"], "Z": [0.2]}
    assert len(open_table(path)) == 1


def test_truth_values_of_a_database(tmp_path):
    path = text(tmp_path / "t.csv", "OK,TYPE,NO\nt,F,f\n,G,FALSE\nTrue,F,f\n")
    told = {"OK": [True, None, True], "TYPE": ["F", "G", "F"], "NO": [False, False, False]}
    assert read(path, "OK", "TYPE", "NO") == told


@pytest.mark.parametrize("head", ["#   1 {}  what it is [deg]\n#   2 {}\n", "# {}, {}\n"])
def test_how_other_programs_name_columns_above_numbers(tmp_path, head):
    """source-extractor a line each; numpy.savetxt what one tells it, between other marks."""
    path = text(tmp_path / "t.cat", "# 5 3\n" + head.format("RA", "Z") + "180.1 0.1\n180.2 0.2\n")
    assert read(path, "RA", "Z") == {"RA": [180.1, 180.2], "Z": [0.1, 0.2]}


def test_texts_to_the_right_of_their_field(tmp_path):
    column = fits.Column("CLASS", "6A", array=[b"  STAR", b"GALAXY"])
    assert read(fits_table(tmp_path / "t.fits", {}, column), "CLASS")["CLASS"] == ["STAR", "GALAXY"]


VOTABLE = """<?xml version="1.0"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">
<TABLE><FIELD name="z" datatype="double"/><DATA><TABLEDATA><TR><TD>0.1</TD></TR></TABLEDATA></DATA>
</TABLE><INFO name="QUERY_STATUS" value="{}">{}</INFO></RESOURCE></VOTABLE>"""


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("OVERFLOW", r"its server left rows out \(QUERY_STATUS OVERFLOW: so\); ask for all"),
        ("ERROR", r"the query failed \(QUERY_STATUS ERROR: so\); ask again"),
    ],
)
def test_a_part_of_what_was_asked_for_is_no_table(tmp_path, status, said):
    assert read(text(tmp_path / "t.vot", VOTABLE.format("OK", "so")), "z") == {"z": [0.1]}
    with pytest.raises(BadDataError, match=said):
        open_table(text(tmp_path / "t.vot", VOTABLE.format(status, "so")))


def folder(path, first, second):
    path.mkdir()
    parquet(path / "a.parquet", ID=first)
    parquet(path / "b.parquet", ID=second)
    return path


@pytest.mark.parametrize(
    ("mark", "what"),
    [
        ("_delta_log/0.json", "a Delta table"),
        ("metadata/v1.metadata.json", "an Iceberg table"),
        (".hoodie/hoodie.properties", "a Hudi table"),
    ],
)
def test_folders_that_keep_earlier_versions_of_rows_are_refused(tmp_path, mark, what):
    """Only their log tells which files are current; the others are rows that were replaced."""
    path = folder(tmp_path / "folder", pa.array([1]), pa.array([1]))
    (path / mark).parent.mkdir()
    (path / mark).write_text("{}")
    for opened in (open_table, open_catalogue):
        with pytest.raises(PhotozError, match=f"folder: {what}, whose files hold rows of earlier"):
            opened(path)


@pytest.mark.parametrize(
    "second", [pa.array([0.5]), pa.array(["x"]), pa.array([2**64 - 1], pa.uint64())]
)
def test_files_whose_types_do_not_go_together_are_refused_in_one_line(tmp_path, second):
    path = folder(tmp_path / "folder", pa.array([-BIG]), second)
    with pytest.raises(BadDataError, match="a column has types that do not go together") as error:
        read(path, "ID")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**40, None, 7]),
        pa.array([2.0**40, None, 7.0]),
        pa.array([str(2**40), None, "7"]),
        pa.array([Decimal(2**40), None, Decimal(7)], pa.decimal128(20, 0)),
        pa.array([2**40, None, 7], pa.uint64()),
    ],
)
def test_an_id_is_the_same_text_whatever_holds_it(tmp_path, values):
    table = open_table(parquet(tmp_path / "t.parquet", ID=values))
    assert ids("t", table.read(["ID"]), "ID").tolist() == [str(2**40), "", "7"]


def test_ids_that_floats_have_rounded_are_refused(tmp_path):
    """pandas makes floats of integers beside a missing one: eight IDs of DESI become one."""
    table = open_table(parquet(tmp_path / "t.parquet", ID=pa.array([2.0**53, None])))
    with pytest.raises(BadDataError, match="column ID holds floating-point numbers beyond 2"):
        ids("t", table.read(["ID"]), "ID")


def test_ids_that_are_floats_of_32_bits_are_one_from_2_to_the_24_on(tmp_path):
    """123456789 and 123456790 are 123456792 both."""
    path = parquet(tmp_path / "t.parquet", ID=np.array([123456789, 123456790], "f4"))
    table = open_table(path)
    with pytest.raises(BadDataError, match=r"column ID holds floating-point numbers beyond 2\^24"):
        ids(table.where, table.read(["ID"]), "ID")
    path = parquet(tmp_path / "t.parquet", ID=pa.array([1234567, None], pa.float32()))
    assert ids("t", open_table(path).read(["ID"]), "ID").tolist() == ["1234567", ""]


def test_tables_of_one_name_are_told_apart_by_their_numbers(tmp_path):
    """As source-extractor calls the tables of all chips LDAC_OBJECTS."""
    columns = [fits.Column("Z", "D", array=np.array([z])) for z in (0.1, 0.2)]
    tables = [fits.BinTableHDU.from_columns([one], name="LDAC_OBJECTS") for one in columns]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(tmp_path / "t.fits")
    with pytest.raises(BadDataError, match=r"2 tables will do \(1, 2\); name one: t.fits#1"):
        open_table(tmp_path / "t.fits", ["Z"])
    assert read(tmp_path / "t.fits#2", "Z") == {"Z": [0.2]}


def test_an_offset_with_a_fraction_is_not_that_of_unsigned_numbers(tmp_path):
    column = fits.Column("Z", "I", array=np.array([1, 2]))
    path = fits_table(tmp_path / "t.fits", {"TZERO1": 32768.5}, column)
    assert read(path, "Z") == {"Z": [32769.5, 32770.5]}
