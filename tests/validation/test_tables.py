"""Catalogues are read from runs, releases and plain tables, and their faults are named."""

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_models.documents import document_text
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.records import Status, TileOutcome, tile_group
from photoz_run.validation.catalogue import read_catalogue
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.tables import catalogue_files
from support.validation import TILES, survey, write_fits, write_parquet, write_run

SETTINGS = ValidationSettings()


def test_a_run_directory_gives_its_finished_tiles(tmp_path):
    columns, _ = survey(200)
    run = write_run(tmp_path / "run", columns)
    write_parquet(run / "tiles" / "KIDS_0" / "unfinished.parquet", columns)
    assert [file.stem for file in catalogue_files(run)] == sorted(TILES)
    catalogue, _ = read_catalogue(run, SETTINGS)
    assert set(catalogue.columns["ID"]) == set(columns["ID"])
    assert catalogue.rows == 200


def test_a_run_directory_knows_the_seeing_of_its_tiles(tmp_path):
    columns, _ = survey(200)
    run = write_run(tmp_path / "run", columns)
    seeing = dict(zip(TILES, (0.61, 0.72, None), strict=True))
    for tile, value in seeing.items():
        recorded = {} if value is None else {"r": value, "g": 1.5}
        outcome = TileOutcome(tile, Status.DONE, "", "", seeing=recorded)
        (run / "tiles" / tile_group(tile) / f"{tile}.json").write_text(document_text(outcome))
    catalogue, _ = read_catalogue(run, SETTINGS)
    expected = [
        np.nan if seeing[tile] is None else seeing[tile] for tile in catalogue.columns["KIDS_TILE"]
    ]
    np.testing.assert_array_equal(catalogue.columns["PSF_FWHM"], expected)
    # Asked for alone, it comes as well, also of sources in tiles without it.
    some = catalogue.columns_of(np.arange(5), ["PSF_FWHM"])
    np.testing.assert_array_equal(some["PSF_FWHM"], catalogue.columns["PSF_FWHM"][:5])


def test_a_directory_of_parquet_files(tmp_path):
    columns, _ = survey(50)
    write_parquet(tmp_path / "dataset" / "Norder=1" / "Npix=3.parquet", columns)
    write_parquet(tmp_path / "dataset" / "_metadata.parquet", columns)
    catalogue, _ = read_catalogue(tmp_path, SETTINGS)
    assert len(catalogue) == 50


def test_of_a_release_the_whole_file_is_read(tmp_path):
    columns, _ = survey(50)
    write_parquet(tmp_path / "hats" / "dataset" / "Norder=1" / "Npix=3.parquet", columns)
    whole = write_parquet(tmp_path / "catalogue.parquet", columns)
    (tmp_path / "provenance.json").write_text("{}")
    assert catalogue_files(tmp_path) == [whole]


@pytest.mark.parametrize("kind", ["parquet", "fits"])
def test_files_agree(tmp_path, kind):
    columns, _ = survey(60)
    write = {"parquet": write_parquet, "fits": write_fits}[kind]
    catalogue, _ = read_catalogue(write(tmp_path / f"cat.{kind}", columns), SETTINGS)
    order = np.argsort(catalogue.columns["ID"])
    for name, theirs in (
        ("RA", "RAJ2000"),
        ("Z_PHOT", "Z_PHOT"),
        ("MASK", "MASK"),
        ("KIDS_TILE", "KIDS_TILE"),
    ):
        assert catalogue.columns[name][order].tolist() == columns[theirs].tolist()


def test_another_redshift_column(tmp_path):
    columns, _ = survey(30)
    columns["photoz"] = columns.pop("Z_PHOT")
    file = write_parquet(tmp_path / "t.parquet", columns)
    catalogue, _ = read_catalogue(file, ValidationSettings(z_phot="photoz"))
    np.testing.assert_allclose(catalogue.columns["Z_PHOT"], columns["photoz"], rtol=1e-6)
    with pytest.raises(ConfigError, match=r"no column Z_PHOT; .*it has ID, RAJ2000"):
        read_catalogue(file, SETTINGS)


def test_selection_and_its_errors(tmp_path):
    columns, _ = survey(100)
    file = write_parquet(tmp_path / "t.parquet", columns)
    catalogue, _ = read_catalogue(
        file, ValidationSettings(select="MASK == 0 and MAG_AUTO_CALIB < 19")
    )
    assert len(catalogue) == np.sum((columns["MASK"] == 0) & (columns["MAG_AUTO_CALIB"] < 19))
    with pytest.raises(ConfigError, match=r"no column MAKS; did you mean MASK\? it has"):
        read_catalogue(file, ValidationSettings(select="MAKS == 0"))


def test_repeated_ids_are_kept_once_and_given_apart(tmp_path):
    columns, _ = survey(100)
    again = {name: np.concatenate([value, value[:7]]) for name, value in columns.items()}
    catalogue, repeats = read_catalogue(write_parquet(tmp_path / "t.parquet", again), SETTINGS)
    assert (len(catalogue), catalogue.rows, catalogue.repeated) == (100, 107, 14)
    assert sorted(repeats["ID"]) == sorted(np.tile(columns["ID"][:7], 2))


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 3)])
@pytest.mark.parametrize("levels", ["[0.1, 0.5, 0.9]", "0.1,0.5,0.9"])
def test_quantiles_are_a_matrix_and_their_levels_come_from_the_field(tmp_path, kind, levels):
    field = pa.field("Z_QUANTILES", kind, metadata={"levels": levels})
    fields = [pa.field(name, pa.float64()) for name in ("RA", "DEC", "Z_PHOT")]
    rows = [[0.1, 0.2, 0.3], None, [0.2, 0.3, 0.4]]
    table = pa.table([[1.0, 2.0, 3.0]] * 3 + [rows], schema=pa.schema([*fields, field]))
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    catalogue, _ = read_catalogue(tmp_path / "t.parquet", SETTINGS)
    assert catalogue.levels_Q.tolist() == [0.1, 0.5, 0.9]
    expected = [[0.1, 0.2, 0.3], [np.nan] * 3, [0.2, 0.3, 0.4]]
    np.testing.assert_allclose(catalogue.columns["Z_QUANTILES"], expected, rtol=1e-6)


def test_redshifts_all_null(tmp_path):
    columns, _ = survey(30)
    columns["Z_PHOT"][:] = np.nan
    with pytest.raises(BadDataError, match="all 30 values of 'Z_PHOT' are null"):
        read_catalogue(write_parquet(tmp_path / "t.parquet", columns), SETTINGS)


def test_redshifts_that_are_text(tmp_path):
    columns, _ = survey(3)
    columns["Z_PHOT"] = np.array(["0.1", "0.2", "x"])
    with pytest.raises(
        BadDataError, match=r"column Z_PHOT holds text \('x'\), where a number is expected"
    ):
        read_catalogue(write_parquet(tmp_path / "t.parquet", columns), SETTINGS)


def test_bad_files(tmp_path):
    columns, _ = survey(3)
    cases = {
        "missing.parquet": (None, "no such file"),
        "notes.txt": (b"x", "no column Z_PHOT; it has x"),
        "broken.parquet": (b"PAR1x", "not a readable Parquet file"),
        "broken.fits": (b"SIMPLE  = x", "not a readable FITS file"),
    }
    for name, (content, message) in cases.items():
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=message):
            read_catalogue(tmp_path / name, SETTINGS)
    fitsio.write(str(tmp_path / "image.fits"), np.zeros((3, 3)))
    with pytest.raises(ConfigError, match="a FITS file without a table"):
        read_catalogue(tmp_path / "image.fits", SETTINGS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        ConfigError, match=r"a folder without Parquet files|no finished tile and no table"
    ):
        read_catalogue(tmp_path / "empty", SETTINGS)
    nowhere = write_parquet(tmp_path / "t.parquet", {"Z_PHOT": columns["Z_PHOT"]})
    with pytest.raises(ConfigError, match=r"no position columns.*it has Z_PHOT"):
        read_catalogue(nowhere, SETTINGS)


@pytest.mark.parametrize("code", ["0", "-99", "None"])
def test_an_id_of_very_many_rows_is_a_code_and_names_no_galaxy(tmp_path, code):
    columns, _ = survey(400)
    columns["ID"] = np.where(np.arange(400) < 150, code, columns["ID"])
    columns["ID"][399] = columns["ID"][398]
    catalogue, repeats = read_catalogue(write_parquet(tmp_path / "c.parquet", columns), SETTINGS)
    assert len(catalogue) == 399
    assert set(repeats["ID"]) == {columns["ID"][398]}
