"""Whole surveys: the same bytes for any number of jobs, and the tables beside the tiles."""

import hashlib

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from astropy.io import fits
from typer.testing import CliRunner

from photoz_run.cli.simulate import simulate
from photoz_run.errors import ConfigError
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.simulation.survey import simulate_survey
from support.simulation import write_tile

SMALL = {"size": 300, "density": 40.0, "data_release": "DR4.0", "seed": 5}


def digests(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey") / "one"
    simulate_survey(SimulationSettings(**SMALL), 3, folder, jobs=1)
    return folder


def test_the_number_of_jobs_does_not_change_a_byte(survey, tmp_path):
    simulate_survey(SimulationSettings(**SMALL), 3, tmp_path / "two", jobs=2)
    assert digests(tmp_path / "two") == digests(survey)


def test_a_tile_made_alone_has_the_bytes_it_has_in_the_survey(survey, tmp_path):
    write_tile(tmp_path, 2, **SMALL)
    alone = digests(tmp_path)
    assert len(alone) == 13
    assert alone.items() <= digests(survey).items()


def test_another_seed_is_another_sky(survey, tmp_path):
    write_tile(tmp_path, 0, **SMALL | {"seed": 6})
    other, first = digests(tmp_path), digests(survey)
    changed = [name for name in other if name.endswith(("_sci.fits", "_cat.fits"))]
    assert len(changed) == 5
    assert all(other[name] != first[name] for name in changed)


def test_truth_has_a_row_for_every_source_of_every_catalogue(survey):
    truth = pq.read_table(survey / "truth.parquet").to_pylist()
    catalogues = {}
    for path in survey.glob("*_cat.fits"):
        table = fits.getdata(path, 1)
        catalogues |= dict(zip(table["ID"], table["KIDS_TILE"], strict=True))
    assert {row["ID"]: row["tile"] for row in truth} == catalogues
    galaxies = [row for row in truth if row["kind"] == "galaxy"]
    assert len(galaxies) > 20
    assert all(0.01 <= row["z"] <= 0.75 and row["flux_r"] > 10 ** (-0.4 * 20.5) for row in galaxies)
    assert all(row["z"] == 0 for row in truth if row["kind"] == "star")


def test_spectroscopy_looks_like_gama(tmp_path):
    tiles = [
        write_tile(
            tmp_path / str(k), k, products=(), size=2000, density=40, data_release="DR4.0", seed=9
        )
        for k in range(3)
    ]
    spec = {name: np.concatenate([tile.made.spectroscopy[name].to_numpy() for tile in tiles])
            for name in ("ID", "Z", "NQ", "SC", "uberclass", "mag_r")}  # fmt: skip
    z_true = {
        name: z for tile in tiles for name, z in zip(tile.truth("ID"), tile.truth("z"), strict=True)
    }
    assert spec["mag_r"].max() < 19.8
    good = (spec["NQ"] > 2) & (spec["uberclass"] == 1) & (spec["SC"] > 3)
    error = np.array([z - z_true[name] for name, z in zip(spec["ID"], spec["Z"], strict=True)]) / (
        1 + spec["Z"]
    )
    assert good.sum() > 500
    assert 1e-4 < 1.4826 * np.median(np.abs(error[good])) < 3e-4
    assert (np.abs(error[good]) > 0.005).mean() < 0.01
    assert (np.abs(error[spec["NQ"] <= 2]) > 0.005).mean() > 0.3
    assert (spec["uberclass"] == 2).sum() < 0.05 * len(spec["Z"])


def test_the_fits_table_of_redshifts_has_the_columns_of_gama(survey):
    with fits.open(survey / "specz.fits") as hdus:
        assert {"RAcen", "Deccen", "Z", "NQ", "SC", "uberclass"} <= set(hdus[1].columns.names)
        assert len(hdus[1].data) > 5


def test_a_survey_is_never_written_over_another(survey):
    with pytest.raises(ConfigError, match="is not empty"):
        simulate_survey(SimulationSettings(**SMALL), 1, survey)


def test_requests_for_nothing_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="0 tiles"):
        simulate_survey(SimulationSettings(**SMALL), 0, tmp_path / "new")
    with pytest.raises(ConfigError, match="0 jobs"):
        simulate_survey(SimulationSettings(**SMALL), 1, tmp_path / "new", jobs=0)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [("file", "File exists"), ("file/survey", "Not a directory"), ("used", "is not empty")],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line_without_a_progress_bar(
    tmp_path, capfd, name, why
):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "other").write_text("mine")
    with pytest.raises(ConfigError, match=why):
        simulate(tmp_path / name, tiles=1, size=300, jobs=1)
    assert capfd.readouterr() == ("", "")


def test_the_command_writes_a_survey_and_says_so(tmp_path):
    app = typer.Typer()
    app.command()(simulate)
    arguments = [
        str(tmp_path / "out"),
        "--tiles",
        "1",
        "--size",
        "300",
        "--density",
        "5",
        "--jobs",
        "1",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "1 tile in" in result.output
    assert "KIDS_0.0_-31.2" in result.output
    assert len(list((tmp_path / "out").iterdir())) == 5 * 3 + 1 + 2
