"""A number is what the unit of its column says: degrees after conversion, or refused."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table

from photoz_run.errors import BadDataError, ConfigError
from photoz_run.survey.band_columns import find_band_columns
from photoz_run.survey.magnitudes import MagnitudeTable, open_magnitudes
from photoz_run.tables.keys import positions
from photoz_run.tables.opening import open_table
from photoz_run.validation.settings import SpecSettings
from photoz_run.validation.specz import read_specz

RA, DEC = [180.5, 359.25], [-31.0, 0.25]
WRITERS = {"t.fits": {}, "t.vot": {"format": "votable"}, "t.ecsv": {}, "t.parquet": {}}
VOTABLE = (
    b'<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
    b'<FIELD name="RA" datatype="double" unit="rad"/><FIELD name="DEC" datatype="double"'
    b' unit="rad"/></TABLE></RESOURCE></VOTABLE>'
)


def stated(unit: str, **columns) -> pa.Table:
    """A table of Arrow all of whose columns state a unit."""
    fields = [pa.field(name, pa.float64(), True, {"unit": unit}) for name in columns]
    return pa.table([pa.array(one, pa.float64()) for one in columns.values()], pa.schema(fields))


def parquet(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


def read(path: Path) -> np.ndarray:
    table = open_table(path)
    return np.array(positions(table, table.read(["RA", "DEC"]), ["RA", "DEC"]))


@pytest.mark.parametrize("unit", [u.deg, u.rad, u.arcmin, u.mas])
@pytest.mark.parametrize("name", WRITERS)
def test_positions_in_any_unit_of_an_angle_are_degrees(tmp_path, name, unit):
    columns = {"RA": (RA * u.deg).to(unit), "DEC": (DEC * u.deg).to(unit)}
    QTable(columns).write(tmp_path / name, **WRITERS[name])
    np.testing.assert_allclose(read(tmp_path / name), [RA, DEC], atol=1e-10)


@pytest.mark.parametrize("hours", ["h", "hours", "hr", "hourangle"])
def test_right_ascension_may_be_hours(tmp_path, hours):
    table = Table({"RA": np.array(RA) / 15, "DEC": DEC})
    hdu = fits.BinTableHDU(table)
    hdu.header["TUNIT1"] = hours
    hdu.writeto(tmp_path / "t.fits")
    np.testing.assert_allclose(read(tmp_path / "t.fits"), [RA, DEC])


def test_a_votable_within_parquet_states_units(tmp_path):
    table = pa.table({"RA": np.radians(RA), "DEC": np.radians(DEC)})
    said = {b"IVOA.VOTable-Parquet.content": VOTABLE}
    path = parquet(tmp_path / "t.parquet", table.replace_schema_metadata(said))
    np.testing.assert_allclose(read(path), [RA, DEC])


@pytest.mark.parametrize("unit", ["", "---", "Degrees", "deg (J2000)", "°"])
def test_degrees_as_people_spell_them(tmp_path, unit):
    path = parquet(tmp_path / "t.parquet", stated(unit, RA=RA, DEC=DEC))
    assert read(path).tolist() == [RA, DEC]


@pytest.mark.parametrize("unit", ["h:m:s", "pix", "deg/yr", "d"])
def test_another_unit_of_positions_is_refused_by_name(tmp_path, unit):
    path = parquet(tmp_path / "t.parquet", stated(unit, RA=RA, DEC=DEC))
    message = f"column RA has the unit {unit!r}, where degrees are expected"
    with pytest.raises(BadDataError, match=re.escape(message)):
        read(path)


def test_sexagesimal_texts_are_refused_with_what_is_expected(tmp_path):
    (tmp_path / "t.csv").write_text("RA,DEC\n12:34:56.7,-31:00:00\n")
    with pytest.raises(BadDataError, match=r"'12:34:56.7'\), where a number of degrees"):
        read(tmp_path / "t.csv")


def test_a_code_is_no_position_in_any_unit(tmp_path):
    path = parquet(tmp_path / "t.parquet", stated("rad", RA=[-1.0], DEC=[-1.0]))
    assert np.isnan(read(path)).all()


def test_files_of_a_folder_that_state_different_units_are_refused(tmp_path):
    for unit in ("deg", "rad"):
        parquet(tmp_path / f"{unit}.parquet", stated(unit, RA=RA, DEC=DEC))
    with pytest.raises(BadDataError, match=r"RA has several units: 'deg' in .* and 'rad' in"):
        read(tmp_path)


@pytest.mark.parametrize("unit", ["mag", "mag(AB)", "ABmag", "Mag", ""])
def test_magnitudes_as_people_spell_their_unit(tmp_path, unit):
    table = open_table(parquet(tmp_path / "t.parquet", stated(unit, R=[19.0])))
    assert find_band_columns(table, ["r"], "first", {"r": "R"}).names == ["R"]


@pytest.mark.parametrize("unit", ["nanomaggies", "uJy", "mag/arcsec2", "mmag"])
def test_what_is_no_magnitude_by_its_unit_is_refused(tmp_path, unit):
    path = parquet(tmp_path / "t.parquet", stated(unit, R=[19.0], MAG_GAAP_r=[19.0]))
    message = f"has the unit {unit!r}, where mag is expected"
    with pytest.raises(BadDataError, match=message):
        find_band_columns(open_table(path), ["r"], "first", {"r": "R"})
    with pytest.raises(BadDataError, match=message):
        open_magnitudes(MagnitudeTable(path, "position", 1.0), {"r": ("r",)})


@pytest.mark.parametrize("unit", ["km/s", "KM/S", "mag"])
def test_a_velocity_or_a_magnitude_is_no_redshift(tmp_path, unit):
    fields = stated(unit, z=[0.3, 0.4])
    table = pa.table({"RA": RA, "DEC": DEC}).append_column(fields.schema[0], fields["z"])
    settings = SpecSettings(file=parquet(tmp_path / "t.parquet", table))
    with pytest.raises(ConfigError, match=f"column z has the unit {unit!r}, where a redshift"):
        read_specz([settings])
