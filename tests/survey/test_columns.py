"""Further columns of a FITS table come with their header, without codes for what is missing."""

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

from photoz_run.errors import BadDataError
from photoz_run.survey.columns import kept_fields
from photoz_run.tables.opening import open_table

VALUES = {
    "ID": (fits.Column("ID", "5A", array=["a", "b", "c"]), ["a", "b", "c"]),
    "RAJ2000": (fits.Column("RAJ2000", "D", array=[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]),
    "DECJ2000": (fits.Column("DECJ2000", "D", array=[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]),
    "MAG_GAAP_r": (
        fits.Column("MAG_GAAP_r", "E", unit="mag", array=[18.5, np.nan, 99.0]),
        [18.5, None, 99.0],
    ),
    "N_EPOCH": (
        fits.Column("N_EPOCH", "I", null=-7, array=np.array([1, -7, 3], np.int16)),
        [1, None, 3],
    ),
    "OBJNO": (fits.Column("OBJNO", "K", array=np.array([1, -7, 2**40])), [1, -7, 2**40]),
    "GOOD": (fits.Column("GOOD", "L", array=[True, False, True]), [True, False, True]),
    "BYTE": (fits.Column("BYTE", "B", array=np.array([0, 255, 3], np.uint8)), [0, 255, 3]),
    "COUNT": (
        fits.Column("COUNT", "J", bzero=2**31, array=np.array([0, 2**31, 3], np.uint32)),
        [0, 2**31, 3],
    ),
    "THELI": (fits.Column("THELI", "5A", array=["a b", "", "c"]), ["a b", "", "c"]),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("columns") / "cat.fits"
    lists = fits.Column("APERTURES", "3E", array=np.zeros((3, 3)))
    hdu = fits.BinTableHDU.from_columns([column for column, _ in VALUES.values()] + [lists])
    hdu.header["TCOMM4"] = "GAaP magnitude in r"
    hdu.header["TUCD4"] = "phot.mag;em.opt.R"
    hdu.writeto(path)
    return path


def test_fields_say_what_the_header_says(table):
    fields = kept_fields(table, ["N_EPOCH", "MAG_GAAP_r"])
    assert [(field.name, field.type) for field in fields] == [
        ("N_EPOCH", pa.int16()),
        ("MAG_GAAP_r", pa.float32()),
    ]
    assert fields[0].metadata == {b"description": b"N_EPOCH of the input catalogue"}
    assert fields[1].metadata == {
        b"unit": b"mag",
        b"ucd": b"phot.mag;em.opt.R",
        b"description": b"GAaP magnitude in r",
    }


def test_values_of_every_type_come_through_and_missing_ones_are_null(table):
    rows = open_table(table).read(list(VALUES))
    for field in kept_fields(table, list(VALUES)):
        expected = VALUES[field.name][1]
        assert rows[field.name].to_pylist() == [None if v == "" else v for v in expected]
        assert field.nullable


def test_an_empty_table_keeps_its_types(table, tmp_path):
    with fits.open(table) as hdus:
        fits.BinTableHDU(hdus[1].data[:0], hdus[1].header).writeto(tmp_path / "empty.fits")
    fields = kept_fields(tmp_path / "empty.fits", ["MAG_GAAP_r", "OBJNO", "THELI"])
    assert [field.type for field in fields] == [pa.float32(), pa.int64(), pa.string()]
    assert len(open_table(tmp_path / "empty.fits").read(["OBJNO"])) == 0


def test_lists_and_unknown_columns_are_refused(table):
    with pytest.raises(BadDataError, match=r"cat\.fits: column APERTURES holds lists of 3"):
        kept_fields(table, ["OBJNO", "APERTURES"])
    with pytest.raises(BadDataError, match=r"cat\.fits: no column OBJ; did you mean OBJNO\?"):
        kept_fields(table, ["OBJ"])
