"""Redshifts are recognised by more than a name, and what is no redshift is counted."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_run.errors import BadDataError, ConfigError
from photoz_run.validation.settings import SpecSettings
from photoz_run.validation.specz import read_specz

N = 20
Z = np.linspace(0.1, 0.5, N)
HALF = np.arange(N) % 2 == 0


def specz(tmp_path, position=("RA", "DEC"), **columns):
    """Read a table of N galaxies."""
    rows = {position[0]: np.linspace(180, 181, N), position[1]: np.linspace(0, 1, N), **columns}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    return read_specz([SpecSettings(file=tmp_path / "t.parquet")])


FLOATS = np.where(HALF, 4.5, 1.5)
TABLES = {
    "GAMA": ({"Z": Z, "NQ": np.where(HALF, 4, 2), "duplicate": np.zeros(N, int)}, ("RA", "DEC")),
    "DESI v1": (
        {"Z": Z, "ZWARN": np.where(HALF, 0, 4), "DELTACHI2": np.full(N, 99.0)},
        ("TARGET_RA", "TARGET_DEC"),
    ),
    "DESI v2": (
        {"Z_BEST": Z, "ZWARN_BEST": np.zeros(N, int), "ZCAT_PRIMARY": HALF, "Z": Z + 9},
        ("TARGET_RA", "TARGET_DEC"),
    ),
    "DESI stars": (
        {"Z": Z, "ZWARN": np.zeros(N, int), "SPECTYPE": np.where(HALF, "GALAXY", "STAR")},
        ("RA", "DEC"),
    ),
    "SDSS": ({"z": Z, "zWarning": np.where(HALF, 16, 4)}, ("ra", "dec")),
    "SDSS stars": (
        {"Z": Z, "ZWARNING": np.zeros(N, int), "CLASS": np.where(HALF, "GALAXY", "STAR")},
        ("PLUG_RA", "PLUG_DEC"),
    ),
    "BOSS": (
        {
            "Z": Z + 1,
            "ZWARNING": np.zeros(N, int),
            "Z_NOQSO": Z,
            "ZWARNING_NOQSO": np.where(HALF, 0, 4),
        },
        ("PLUG_RA", "PLUG_DEC"),
    ),
    "SDSS stars of SkyServer": (
        {"z": Z, "zwarning": np.zeros(N, np.uint64), "class": np.where(HALF, "GALAXY", "  STAR")},
        ("ra", "dec"),
    ),
    "DESI of a database": (
        {"z": Z, "zwarn": np.zeros(N, int), "zcat_primary": HALF},
        ("target_ra", "target_dec"),
    ),
    "GAMA of a database": ({"z": Z, "nq": np.where(HALF, 4, 2)}, ("ra", "dec")),
    "2dFLenS": ({"z": Z, "qual": np.where(HALF, 3, 6)}, ("R.A.", "Dec.")),
    "2dFGRS": ({"z": Z, "q_z": np.where(HALF, 3, 2)}, ("RAJ2000", "DEJ2000")),
    "VIPERS": ({"zspec": Z, "zflg": np.where(HALF, 3.5, 1.5)}, ("alpha", "delta")),
    "zCOSMOS": ({"zpec": Z, "cc": FLOATS}, ("RA", "DEC")),
    "DEEP2": ({"ZHELIO": Z, "Z": Z + 1, "ZQUALITY": np.where(HALF, 4, -1)}, ("RA", "DEC")),
}


@pytest.mark.parametrize("survey", TABLES)
def test_the_cut_of_a_survey_is_made_on_its_own_columns(tmp_path, survey):
    columns, position = TABLES[survey]
    sample = specz(tmp_path, position, **columns)
    assert sample.sources == (survey.split()[0],)
    np.testing.assert_allclose(sample.z_M, Z[HALF])


def test_a_magnitude_called_z_is_not_the_redshift(tmp_path):
    magnitudes = {band: np.full(N, 18.0) for band in "ugriz"}
    assert specz(tmp_path, **magnitudes, redshift=Z).z_M.tolist() == Z.tolist()
    with pytest.raises(ConfigError, match="column z stands beside u, g, r, i, it is a magnitude"):
        specz(tmp_path, **magnitudes)
    with pytest.raises(BadDataError, match="column z holds no redshifts: their median is 18"):
        specz(tmp_path, z=np.full(N, 18.0))


def test_two_redshifts_are_asked_for(tmp_path):
    with pytest.raises(
        ConfigError, match=r"more than one column could be the redshift \(zspec, z\)"
    ):
        specz(tmp_path, z=Z, zspec=Z)


@pytest.mark.parametrize("code", [9.9999, 99.0, 999999.0, -999.0, -9.0, np.inf])
def test_codes_are_left_out_and_counted(tmp_path, code):
    sample = specz(tmp_path, Z=np.where(np.arange(N) < 4, code, Z))
    assert sample.counts["spec-z"] == {"rows": N, "poor": 0, "unusable": 4, "used": N - 4}
    assert any("4 " in remark for remark in sample.remarks)


def test_a_table_without_a_cut_is_said(tmp_path):
    (remark,) = specz(tmp_path, Z=Z, MY_FLAG=np.ones(N, int)).remarks
    assert "no cut on quality was made; MY_FLAG may say which are good: --quality" in remark


def test_a_missing_quality_is_not_good(tmp_path):
    quality = pa.array(np.full(N, 4), mask=HALF)
    assert specz(tmp_path, Z=Z, NQ=quality).counts["GAMA"]["poor"] == HALF.sum()


def test_sentinel_positions_match_nothing(tmp_path):
    ra, dec = (np.where(HALF, -99.0, value) for value in (180.0, 0.5))
    pq.write_table(pa.table({"RA": ra, "DEC": dec, "Z": Z}), tmp_path / "t.parquet")
    sample = read_specz([SpecSettings(file=tmp_path / "t.parquet")])
    assert sample.tables["spec-z"].dropped["no position"] == HALF.sum()


def test_a_cut_that_does_not_fit_its_column_names_the_table(tmp_path):
    path = tmp_path / "spec.parquet"
    pq.write_table(pa.table({"RA": [1.0], "DEC": [1.0], "Z": [0.2], "NQ": ["A"]}), path)
    with pytest.raises(ConfigError, match=f"{path}.*'NQ > 2'.*text is compared with a number"):
        read_specz([SpecSettings(file=path)])
