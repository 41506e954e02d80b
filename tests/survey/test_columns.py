"""Further columns of a FITS table come with what its header says of them, and without codes for what is missing."""

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits

from photoz_run.catalogue.table import further_column
from photoz_run.errors import BadDataError
from photoz_run.schema import Column
from photoz_run.survey.columns import column_facts, read_values

VALUES = {
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
    hdu.header["TCOMM1"] = "GAaP magnitude in r"
    hdu.header["TUCD1"] = "phot.mag;em.opt.R"
    hdu.writeto(path)
    return path


def test_facts_are_those_of_the_header(table):
    facts = column_facts(table, ["N_EPOCH", "MAG_GAAP_r"])
    assert facts["MAG_GAAP_r"] == Column(
        "MAG_GAAP_r", "f4", "mag", "phot.mag;em.opt.R", True, "GAaP magnitude in r"
    )
    assert facts["N_EPOCH"] == Column(
        "N_EPOCH", "i2", "", "", True, "N_EPOCH of the input catalogue"
    )


def test_values_of_every_type_come_through_and_missing_ones_are_null(table):
    facts, values = column_facts(table, list(VALUES)), read_values(table, list(VALUES))
    for name, (_, expected) in VALUES.items():
        field, array = further_column(facts[name], values[name])
        assert array.to_pylist() == expected, name
        assert field.nullable
        assert field.type == array.type
    assert further_column(facts["MAG_GAAP_r"], values["MAG_GAAP_r"])[0].metadata == {
        b"unit": b"mag",
        b"ucd": b"phot.mag;em.opt.R",
        b"description": b"GAaP magnitude in r",
    }


def test_an_empty_table_keeps_its_types(table, tmp_path):
    with fits.open(table) as hdus:
        fits.BinTableHDU(hdus[1].data[:0], hdus[1].header).writeto(tmp_path / "empty.fits")
    values = read_values(tmp_path / "empty.fits", ["MAG_GAAP_r", "OBJNO", "THELI"])
    kinds = [
        further_column(Column(name, "", "", "", True, ""), values[name])[0].type for name in values
    ]
    assert kinds == [pa.float32(), pa.int64(), pa.string()]


def test_lists_and_unknown_columns_are_refused(table):
    with pytest.raises(
        BadDataError, match=r"cat\.fits: column APERTURES holds lists of 3; leave it out"
    ):
        column_facts(table, ["OBJNO", "APERTURES"])
    for read in (column_facts, read_values):
        with pytest.raises(
            BadDataError, match=r"cat\.fits: no column MAG_R; it has MAG_GAAP_r, N_EPOCH"
        ):
            read(table, ["MAG_R"])
