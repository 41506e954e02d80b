"""A table is known by its content; of several tables the one with the columns, or a question."""

import gzip
import os
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from photoz_run.errors import BadDataError, PhotozError
from photoz_run.images.opening import first_header, open_image
from photoz_run.reading import data_bytes
from photoz_run.tables.fits_hdus import read_hdus
from photoz_run.tables.opening import open_table
from support.programs import needs
from support.tables import EXPECTED, arrow, by_hand_fits


def hdu(name="", **columns):
    kinds = {"i": "J", "f": "D", "U": "8A"}
    made = [
        fits.Column(key, kinds[np.asarray(values).dtype.kind], array=np.asarray(values))
        for key, values in columns.items()
    ]
    return fits.BinTableHDU.from_columns(made, name=name or None)


def written(path, *hdus):
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


@pytest.fixture
def ldac(tmp_path):
    """As source-extractor writes FITS_LDAC: a table with the header in front of the sources."""
    head = fits.BinTableHDU.from_columns(
        [fits.Column("Field Header Card", "160A", array=["SIMPLE = T"])], name="LDAC_IMHEAD"
    )
    return written(tmp_path / "ldac.cat", head, hdu("LDAC_OBJECTS", ALPHA_J2000=[1.0], NUMBER=[1]))


def test_the_table_with_the_columns_is_taken(ldac):
    assert open_table(ldac, ["NUMBER"]).name == "LDAC_OBJECTS"


def test_several_tables_that_would_do_are_asked_for(tmp_path):
    path = written(tmp_path / "two.fits", hdu("A", Z=[0.1]), hdu("B", Z=[0.2]))
    with pytest.raises(BadDataError, match=r"2 tables will do \(A, B\); name one: two.fits#A"):
        open_table(path, ["Z"])
    for name, value in (("A", 0.1), ("B", 0.2), ("2", 0.2)):
        assert open_table(tmp_path / f"two.fits#{name}", ["Z"]).read(["Z"])["Z"].to_pylist() == [
            value
        ]
    with pytest.raises(BadDataError, match=r"two.fits: no table C; it has A, B"):
        open_table(tmp_path / "two.fits#C")


@pytest.mark.parametrize("filling", [bytes(77), b"\t".ljust(77), b"     / of it".ljust(77)])
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_what_follows_the_end_of_a_header_is_no_matter(tmp_path, filling):
    """As astropy has it; the standard asks for blanks."""
    path = written(tmp_path / "a.fits", hdu("A", Z=[0.1, 0.2]))
    content = path.read_bytes()
    end = content.index(b"END" + b" " * 77, 2880)
    path.write_bytes(content[: end + 3] + filling + content[end + 80 :])
    assert len(open_table(path)) == len(Table.read(path)) == 2


def test_an_outline_tells_of_an_hdu_what_its_header_tells(tmp_path, ldac):
    random_groups = fits.GroupsHDU()
    random_groups.data = fits.GroupData(
        np.ones((4, 1, 3, 2), np.float32), parnames=["U"], pardata=[np.ones(4, np.float32)]
    )
    fits.HDUList([random_groups]).writeto(tmp_path / "groups.fits")
    packed = fits.CompImageHDU(np.ones((30, 30), np.int16), name="PACKED")
    variable = fits.Column("A", "PJ()", array=np.array([[1], [2, 3]], dtype=object))
    table = fits.BinTableHDU.from_columns([variable], name="VARIABLE")
    written(tmp_path / "several.fits", packed, table, fits.ImageHDU(np.ones((3, 2, 2))))
    number = 0
    for path in (ldac, tmp_path / "groups.fits", tmp_path / "several.fits"):
        for hdu in read_hdus(path):
            assert data_bytes(hdu.outline) == data_bytes(hdu.header)
            assert hdu.name == hdu.header.get("EXTNAME", "").strip()
            number += 1
    assert number == 3 + 1 + 4


def test_a_file_with_the_mark_in_its_name_is_a_file(tmp_path):
    path = tmp_path / "a#b.parquet"
    pq.write_table(arrow(), path)
    assert len(open_table(path)) == 7


@pytest.mark.parametrize("folder", ["tiles[1]", "a$HOME", "x (1)", "a+b", "two  blanks"])
def test_folders_may_be_called_anything(tmp_path, folder):
    (tmp_path / folder).mkdir()
    by_hand_fits(tmp_path / folder / "t[2].fits")
    assert (
        open_table(tmp_path / folder / "t[2].fits").read(["BIG"])["BIG"].to_pylist()
        == EXPECTED["BIG"]
    )


def test_images_beside_a_table_are_passed_over(tmp_path):
    image = fits.CompImageHDU(np.arange(100.0, dtype="f4").reshape(10, 10), name="SCI")
    path = written(tmp_path / "t.fits.fz", image, hdu("T", Z=[0.5]))
    assert open_table(path).read(["Z"])["Z"].to_pylist() == [0.5]


def test_images_alone_are_no_table(tmp_path):
    path = written(tmp_path / "t.fits", fits.CompImageHDU(np.zeros((10, 10), "f4")))
    with pytest.raises(BadDataError, match="a FITS file without a table: it holds images only"):
        open_table(path)


def test_a_packed_table_is_unpacked_first(tmp_path):
    path = written(tmp_path / "t.fits", hdu(Z=np.arange(500.0), N=np.arange(500)))
    needs("fpack")
    subprocess.run(["fpack", "-tableonly", "-Y", str(path)], check=True)
    (packed,) = tmp_path.glob("*.fz")
    with pytest.raises(BadDataError, match="unpack it with funpack"):
        open_table(packed).read(["Z"])


def test_a_table_by_columns_is_converted_first(tmp_path):
    path, out = written(tmp_path / "t.fits", hdu(Z=[1.0, 2.0])), tmp_path / "c.fits"
    needs("stilts")
    subprocess.run(["stilts", "tcopy", path, f"out={out}", "ofmt=colfits-basic"], check=True)
    with pytest.raises(BadDataError, match="convert it with stilts tcopy"):
        open_table(out).read(["Z"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file; convert it"),
        (b"<html><body>login", "a web page"),
        (b"PK\x03\x04xxxx", "a zip archive; unpack it"),
        (b"\x00\x01\x02\x03" * 10, "not a table of a kind that is known"),
        (b"PAR1 cut off", "not a readable Parquet file"),
        (gzip.compress(b"PAR1xxx", mtime=0), "Parquet packed with gzip; unpack it"),
        (b"1 2 3\n4 5 6\n", "columns have no names"),
        (b"# only comments\n", "no line names columns"),
        (b"a,b\n1,2\n3\n", "row"),
    ],
)
def test_what_is_no_table_is_said_in_one_line(tmp_path, content, message):
    path = tmp_path / "t.parquet"
    path.write_bytes(content)
    with pytest.raises(BadDataError, match=message) as error:
        open_table(path).read(["a"])
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_truncated_table_says_where_it_ends(tmp_path):
    path = written(tmp_path / "t.fits", hdu(Z=np.arange(1000.0)))
    path.write_bytes(path.read_bytes()[: 2880 * 2 + 804])
    with pytest.raises(BadDataError, match=r"it ends in row 101 of 1,000: truncated"):
        open_table(path).read(["Z"])


def test_a_truncated_gzip_stream_is_explained(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 100000)[:200])
    with pytest.raises(BadDataError, match="gzip stream is damaged or truncated"):
        open_table(path).read(["a"])


def test_names_that_differ_by_capitals_are_two_columns(tmp_path):
    path = written(tmp_path / "t.fits", hdu(z=[19.5], Z=[0.1]))
    assert open_table(path).read(["Z", "z"]).to_pydict() == {"Z": [0.1], "z": [19.5]}


def test_a_name_that_stands_twice_is_refused(tmp_path):
    pq.write_table(
        pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "t.parquet"
    )
    with pytest.raises(BadDataError, match="2 columns are called a"):
        open_table(tmp_path / "t.parquet").read(["a"])


@pytest.mark.parametrize("kind", ["fits", "parquet", "vot", "ecsv"])
def test_lists_are_refused_by_name(tmp_path, kind):
    path = tmp_path / f"t.{kind}"
    lists = np.arange(6.0).reshape(3, 2)
    if kind == "parquet":
        pq.write_table(pa.table({"A": [1, 2, 3], "L": lists.tolist()}), path)
    else:
        Table({"A": [1, 2, 3], "L": lists}).write(path, format="votable" if kind == "vot" else None)
    table = open_table(path)
    assert table.read(["A"])["A"].to_pylist() == [1, 2, 3]
    with pytest.raises(
        BadDataError, match=r"column L holds lists.*where one value a row is expected"
    ):
        table.read(["A", "L"])


@pytest.mark.parametrize("form", ["2D", "PD()", "C", "12X"])
def test_what_is_no_single_value_is_refused_only_where_it_is_needed(tmp_path, form):
    data = {"2D": [[1.0, 2.0]], "PD()": np.array([np.array([1.0])], object), "C": [1j]}
    column = fits.Column("L", form, array=data.get(form, [[True] * 12]))
    table = fits.BinTableHDU.from_columns([fits.Column("A", "J", array=[5]), column])
    table.writeto(tmp_path / "t.fits")
    opened = open_table(tmp_path / "t.fits")
    assert opened.read(["A"])["A"].to_pylist() == [5]
    with pytest.raises(BadDataError, match="column L holds"):
        opened.read(["L"])


def test_unsigned_and_signed_bytes(tmp_path):
    table = Table({"U2": np.array([0, 65535], "u2"), "U4": np.array([0, 2**32 - 1], "u4")})
    table["U8"] = np.array([0, 2**64 - 1], "u8")
    table.write(tmp_path / "t.fits")
    signed = fits.Column("I1", "B", bzero=-128, array=np.array([-128, 127], "i1"))
    fits.BinTableHDU.from_columns([signed]).writeto(tmp_path / "s.fits")
    read = open_table(tmp_path / "t.fits").read(["U2", "U4", "U8"]).to_pydict()
    assert read == {"U2": [0, 65535], "U4": [0, 2**32 - 1], "U8": [0, 2**64 - 1]}
    assert open_table(tmp_path / "s.fits").read(["I1"])["I1"].to_pylist() == [-128, 127]


def test_null_of_a_scaled_column_is_a_stored_number(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("N", "I", null=5, array=[5, 6, 7])])
    table.header["TSCAL1"], table.header["TZERO1"] = 2.0, 3.0
    table.writeto(tmp_path / "t.fits")
    assert open_table(tmp_path / "t.fits").read(["N"])["N"].to_pylist() == [None, 15, 17]


def test_texts_of_numbers_keep_every_digit(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b,c,d\n007,12345678901234567890123,18446744073709551615,0x10\n1,1,1,2\n")
    read = open_table(path).read(["a", "b", "c", "d"]).to_pydict()
    assert read["a"] == ["007", "1"]
    assert read["b"] == ["12345678901234567890123", "1"]
    assert read["c"] == [18446744073709551615, 1]
    assert read["d"] == ["0x10", "2"]


def test_the_last_row_decides_the_type_too(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "1\n" * 3_000_000 + "x7\n")
    assert open_table(path).fields(["a"])[0].type == pa.large_string()


def test_a_folder_counts_each_row_once(tmp_path):
    pq.write_table(arrow(), tmp_path / "a.parquet")
    pq.write_table(arrow(), tmp_path / "_thumbnail.parquet")
    (tmp_path / ".hidden").mkdir()
    pq.write_table(arrow(), tmp_path / ".hidden" / "b.parquet")
    assert len(open_table(tmp_path)) == 7


def test_a_file_of_a_folder_that_lacks_a_column_is_named(tmp_path):
    pq.write_table(arrow(), tmp_path / "a.parquet")
    pq.write_table(arrow().drop_columns(["Z"]), tmp_path / "b.parquet")
    with pytest.raises(BadDataError, match=r"b.parquet: no column Z"):
        open_table(tmp_path).read(["Z"])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(PhotozError, match="file not found"):
        open_table(tmp_path / "nothing.fits")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("read", [open_table, open_image, first_header])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, read):
    path = tmp_path / "table.fits"
    os.mkfifo(path)
    with pytest.raises(BadDataError, match=r"table\.fits: a pipe or a device"):
        read(path)
