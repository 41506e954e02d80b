"""Simulated sets of labelled stamps: the same for any number of processes, truth row by row."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from photoz_models.kept_sets import load_examples
from photoz_run.cli.simulate import simulate
from photoz_run.errors import BadDataError
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.training.simulated import TRUTH_FILE, simulate_set

SMALL = SimulationSettings(size=500, density=60, data_release="DR4.0", seed=8)

app = typer.Typer()
app.command()(simulate)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    simulate_set(SMALL, 3, folder, 1, lambda line: None)
    return folder


def test_a_set_holds_the_bright_galaxies_of_every_tile_and_what_is_true_of_them(folder):
    examples, truth = load_examples(folder), pq.read_table(folder / TRUTH_FILE)
    assert examples.facts.simulated
    assert "3 tiles of 500 pixels, density 60, seed 8" in examples.facts.name
    assert len(np.unique(examples.tile_N)) == 3
    assert examples.stamps_NCHW.shape == (len(truth), 4, 36, 36)
    assert set(truth["kind"].to_pylist()) == {"galaxy"}
    assert truth["tile"].to_pylist() == examples.tile_N.tolist()
    # GAaP sees a part of the light, but for gradients and noise: rows belong together.
    total_N = -2.5 * np.log10(truth["flux_r"].to_numpy())
    missed_N = examples.magnitudes_NB[:, 2] - total_N
    assert np.nanstd(missed_N) < 0.35
    assert np.nanstd(examples.magnitudes_NB[:, 2] - np.roll(total_N, 1)) > 0.6
    # Larger galaxies lose more of their light to the aperture.
    assert np.corrcoef(missed_N, np.log(truth["disc_radius"].to_numpy()))[0, 1] > 0.2


def test_the_bytes_do_not_depend_on_the_number_of_processes(folder, tmp_path):
    words = [
        "--stamps",
        "--tiles",
        3,
        "--size",
        500,
        "--density",
        60,
        "--data-release",
        "DR4.0",
        "--seed",
        8,
        "--jobs",
        2,
    ]
    said = (
        CliRunner()
        .invoke(app, [str(tmp_path / "two"), *map(str, words)], catch_exceptions=False)
        .output
    )
    assert "labelled galaxies of 3 tiles" in said
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_tiles_too_small_to_hold_a_galaxy_are_passed_over(tmp_path):
    with pytest.raises(BadDataError, match="no selected source has a spec-z"):
        simulate_set(
            SimulationSettings(size=200, density=0.01, data_release="DR4.0"),
            2,
            tmp_path,
            1,
            lambda line: None,
        )
