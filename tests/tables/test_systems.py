"""Positions that a table states to be in another system than ICRS are not taken for ICRS."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import FK5, SkyCoord
from astropy.io import fits
from astropy.table import QTable, Table

from photoz_run.errors import BadDataError
from photoz_run.tables.keys import positions
from photoz_run.tables.opening import open_table
from support.programs import needs

PLACES = SkyCoord([180.5, 359.25], [-31.0, 0.25], unit="deg")
FRAMES = {
    "fk4": PLACES.fk4,
    "fk5 equinox 1975.0": PLACES.transform_to(FK5(equinox="J1975")),
    "galactic": PLACES.galactic,
    "barycentrictrueecliptic": PLACES.barycentrictrueecliptic,
}


def votable(path, coosys: str, ref: str = 'ref="s"', ucd: str = ""):
    fields = "".join(
        f'<FIELD name="{name}" datatype="double" ucd="{ucd}" {ref}/>' for name in ("RA", "DEC")
    )
    path.write_text(
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>'
        f"{coosys}<TABLE>{fields}<DATA><TABLEDATA><TR><TD>180.5</TD><TD>-31</TD></TR></TABLEDATA>"
        "</DATA></TABLE></RESOURCE></VOTABLE>"
    )
    return path


def with_cards(path, place: int = 1, **cards):
    table = fits.BinTableHDU(Table({"RA": [180.5], "DEC": [-31.0]}))
    file = fits.HDUList([fits.PrimaryHDU(), table])
    file[place].header.update({key: value for key, value in cards.items() if value is not None})
    file.writeto(path)
    return path


def read(path, *names: str):
    table = open_table(Path(path))
    pair = names or ("RA", "DEC")
    return positions(table, table.read(pair), pair)


def refused(path, what: str, *names: str) -> None:
    with pytest.raises(BadDataError, match=f"column {(names or ('RA',))[0]} is .*{what}"):
        read(path, *names)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", ["t.fits", "t.ecsv", "t.parquet"])
def test_the_frame_of_a_skycoord_that_astropy_wrote_counts(tmp_path, name, frame):
    table = QTable({"pos": FRAMES[frame]})
    table.write(tmp_path / name)
    stored = [one for one in open_table(tmp_path / name).names if one.startswith("pos.")]
    refused(tmp_path / name, frame, *stored[:2])


@pytest.mark.parametrize("place", [PLACES, PLACES.fk5])
@pytest.mark.parametrize("name", ["t.fits", "t.ecsv", "t.parquet"])
def test_skycoords_of_icrs_and_fk5_are_read(tmp_path, name, place):
    QTable({"pos": place}).write(tmp_path / name)
    assert np.allclose(read(tmp_path / name, "pos.ra", "pos.dec")[0], PLACES.ra.deg)


@pytest.mark.parametrize("name", ["t.fits", "t.ecsv", "t.parquet"])
def test_cards_that_a_table_of_astropy_kept_count(tmp_path, name):
    meta = {"RADESYS": "FK4", "EQUINOX": 1950.0}
    Table({"RA": [180.5], "DEC": [-31.0]}, meta=meta).write(tmp_path / name)
    refused(tmp_path / name, r"FK4 equinox 1950\.0")


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "cards",
    [{"RADESYS": "FK4"}, {"RADECSYS": "FK4-NO-E"}, {"RADESYS": "FK5", "EQUINOX": 1975.0},
     {"EQUINOX": 1950.0}, {"EQUINOX": "B1950"}, {"RADESYS": "GALACTIC"}],
)  # fmt: skip
def test_cards_of_another_system_are_refused(tmp_path, cards, place):
    refused(with_cards(tmp_path / "t.fits", place, **cards), "RADESYS, EQUINOX")


@pytest.mark.parametrize(
    "cards",
    [{}, {"RADESYS": "ICRS", "EQUINOX": 2015.5}, {"RADESYS": "FK5", "EQUINOX": 2000},
     {"EQUINOX": "J2000.0"}, {"RADECSYS": "FK5"}, {"EQUINOX": 0.0},
     {"RADESYS": "GAIA-CRF3"}, {"RADESYS": "FK5", "EQUINOX": "FK5 J2000"}],
)  # fmt: skip
def test_cards_of_icrs_are_read(tmp_path, cards):
    assert read(with_cards(tmp_path / "t.fits", **cards))[0].tolist() == [180.5]


@pytest.mark.parametrize(
    ("coosys", "ref"),
    [
        ('<COOSYS ID="s" system="eq_FK4" equinox="B1950"/>', 'ref="s"'),
        ('<COOSYS ID="s" system="eq_FK5" equinox="J1975"/>', 'ref="s"'),
        ('<COOSYS ID="o" system="ICRS"/><COOSYS ID="s" system="ecl_FK5"/>', 'ref="s"'),
        ('<COOSYS ID="s" system="galactic"/>', ""),
    ],
)
def test_the_coosys_of_a_votable_counts(tmp_path, coosys, ref):
    refused(votable(tmp_path / "t.vot", coosys, ref), "by its COOSYS")


@pytest.mark.parametrize("system", ['"ICRS"', '"eq_FK5" equinox="J2000"', '"eq_FK5"'])
def test_a_coosys_of_icrs_is_read(tmp_path, system):
    path = votable(tmp_path / "t.vot", f'<COOSYS ID="s" system={system}/>')
    assert read(path)[0].tolist() == [180.5]


@pytest.mark.parametrize("ucd", ["pos.galactic.lon", "pos.ecliptic.lat;meta.main", "POS_GAL_LON"])
def test_ucds_of_another_system_are_refused(tmp_path, ucd):
    refused(votable(tmp_path / "t.vot", "", "", ucd), "by its UCD")


@pytest.mark.parametrize("name", ["GLON", "l", "gal_b", "LII", "ecl_lon", "RAB1950", "_RAB1950"])
def test_names_of_another_system_are_refused(tmp_path, name):
    Table({name: [180.5], "DEC": [-31.0]}).write(tmp_path / "t.csv")
    refused(tmp_path / "t.csv", "in another system by its name", name, "DEC")


def test_a_description_of_another_system_is_refused(tmp_path):
    table = Table({"RA": [180.5], "DEC": [-31.0]})
    table["RA"].description = "Right ascension (B1950)"
    table.write(tmp_path / "t.ecsv")
    refused(tmp_path / "t.ecsv", "by its description")
    table["RA"].description = "Right ascension (J2000), precessed from B1950"
    table.write(tmp_path / "t.ecsv", overwrite=True)
    assert read(tmp_path / "t.ecsv")[0].tolist() == [180.5]


def test_the_votable_that_topcat_puts_into_fits_counts(tmp_path):
    path = votable(tmp_path / "t.vot", '<COOSYS ID="s" system="eq_FK4" equinox="B1950"/>')
    there = tmp_path / "t.fits"
    needs("stilts")
    subprocess.run(["stilts", "tcopy", path, there, "ofmt=fits-plus"], check=True)
    refused(there, "eq_FK4 equinox B1950 by its COOSYS")


def test_of_two_tables_in_fits_each_has_its_own_system(tmp_path):
    first = votable(tmp_path / "1.vot", '<COOSYS ID="s" system="ICRS"/>')
    second = votable(tmp_path / "2.vot", '<COOSYS ID="s" system="galactic"/>')
    inputs = ["nin=2", f"in1={first}", f"in2={second}", f"out={tmp_path / 't.fits'}"]
    needs("stilts")
    subprocess.run(["stilts", "tmultin", "ofmt=fits-plus", *inputs], check=True)
    assert read(f"{tmp_path / 't.fits'}#1")[0].tolist() == [180.5]
    refused(f"{tmp_path / 't.fits'}#2", "galactic by its COOSYS")


def test_files_in_folders_of_partitions_state_their_system(tmp_path):
    for name, meta in {"a": {}, "b": {"RADESYS": "FK4"}}.items():
        (tmp_path / f"survey={name}").mkdir()
        table = Table({"RA": [180.5], "DEC": [-31.0]}, meta=meta)
        table.write(tmp_path / f"survey={name}" / "0.parquet")
    refused(tmp_path, "FK4 by its meta")


def test_one_file_of_a_folder_that_is_in_another_system_is_enough(tmp_path):
    for name, meta in {"a": {}, "b": {"RADESYS": "FK4"}}.items():
        Table({"RA": [180.5], "DEC": [-31.0]}, meta=meta).write(tmp_path / f"{name}.parquet")
    refused(tmp_path, "FK4 by its meta")
