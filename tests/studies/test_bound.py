"""The information bound: least noise of a total flux, totals beside a set, worth of the truth."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_models.examples import split_examples
from photoz_models.kept_sets import load_examples, save_examples
from photoz_models.training import Settings
from photoz_run.errors import ConfigError
from photoz_run.simulation import render, spectra
from photoz_run.simulation.conditions import observe
from photoz_run.simulation.geometry import cell_of_tile
from photoz_run.simulation.mixtures import sersic_weights
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.training.simulated import simulate_set
from studies import bound, structure
from studies.least_noise import pixels_under
from studies.structure import CLUMPS, STRUCTURE_FILE, structure_table, write_structure
from support.galaxies import toy_examples

SMALL = SimulationSettings(size=500, density=60, data_release="DR4.0", seed=8)


def test_totals_stand_beside_the_set_of_their_galaxies(tmp_path):
    simulate_set(SMALL, 2, tmp_path, 1, lambda line: None)
    options = ["--tiles", 2, "--size", 500, "--density", 60, "--data-release", "DR4.0", "--seed", 8]
    structure.main([str(word) for word in (tmp_path, *options)])
    table = pq.read_table(tmp_path / STRUCTURE_FILE)
    examples = load_examples(tmp_path)
    assert len(table) == len(examples)
    total_N = table["total_r"].to_numpy()
    missed_N = examples.magnitudes_NB[:, 2] - total_N
    assert np.nanstd(missed_N) < 0.35
    assert np.nanstd(examples.magnitudes_NB[:, 2] - np.roll(total_N, 1)) > 0.6
    with pytest.raises(ConfigError, match="simulated with other options"):
        write_structure(tmp_path, SMALL, 1)


def galaxies_of(n, **other):
    columns = {
        "bulge_fraction": 0.4,
        "bulge_radius": 0.6,
        "disc_radius": 2.0,
        "bulge_q": 0.8,
        "disc_q": 0.5,
    }
    columns |= {"sersic": 3.0, "clump_fraction_g": 0.2, "ebv": 0.05} | {
        f"flux_{band}": 1e-9 for band in "ugri"
    }
    return {
        name: np.broadcast_to(value, n).astype(float) for name, value in (columns | other).items()
    }


def test_the_least_noise_of_a_total_flux_is_that_of_the_matched_filter_of_the_rendered_galaxy():
    shape = galaxies_of(4, bulge_fraction=[0.0, 0.4, 1.0, 0.4], disc_radius=[2.0, 2.0, 2.0, 0.5])
    pixels_N = pixels_under(shape, 0.8)
    for number in range(4):
        # Independently: both components as the simulator draws them, summed over pixels.
        profile_HW = np.zeros((401, 401), np.float32)
        for share, part, index in (
            (shape["bulge_fraction"][number], "bulge", shape["sersic"][number]),
            (1 - shape["bulge_fraction"][number], "disc", 1.0),
        ):
            weight_1G = share * sersic_weights(np.array([index]))
            major_1G = (shape[f"{part}_radius"][number] * spectra.data().sersic_sigma[None, :]) ** 2
            minor_1G = major_1G * shape[f"{part}_q"][number] ** 2
            centre, angle = np.array([200.3]), np.array([0.7])
            render.add(
                profile_HW,
                render.blobs(centre, centre, angle, major_1G, minor_1G, weight_1G, 0.8),
                1e-6,
                1e-9,
            )
        assert pixels_N[number] == pytest.approx(
            1 / np.sum(profile_HW.astype(float) ** 2), rel=0.02
        )


def test_totals_have_the_zero_point_of_the_tile_and_the_noise_of_a_stamp_without_extinction():
    n = 4000
    seen = observe(SMALL, cell_of_tile(0, SMALL))
    small_N = np.arange(n) < n // 2
    truth = galaxies_of(n, disc_radius=np.where(small_N, 0.5, 3.0), ebv=np.where(small_N, 0.0, 0.1))
    u_N = structure_table(pa.table(truth), seen, np.random.default_rng(1))["total_u"].to_numpy()
    assert np.median(u_N[small_N]) == pytest.approx(22.5 - seen["u"].zero_point, abs=0.02)
    pixels_N = pixels_under(truth, seen["u"].seeing)
    for part_N, extinction in ((small_N, 0.0), (~small_N, 0.1 * 4.239)):
        pixel_noise = seen["u"].pixel_noise * 10 ** (0.4 * (extinction + seen["u"].zero_point))
        error = pixel_noise * np.sqrt(pixels_N[part_N][0])
        assert np.std(10 ** (-0.4 * u_N[part_N])) == pytest.approx(error, rel=0.05)


def test_the_bound_uses_what_only_the_truth_knows(tmp_path, monkeypatch):
    monkeypatch.setattr(bound, "SETTINGS", Settings(epochs=6, batch=64, lost_magnitudes=0.0))
    monkeypatch.setattr(bound, "MEMBERS", 1)
    examples = toy_examples(3000)
    save_examples(examples, tmp_path)
    # z = 0.1 + 0.1 colour + 0.1 width: no magnitude knows the width.
    width_N = (
        10 * (examples.z_N - 0.1)
        - (examples.magnitudes_NB[:, 1] - examples.magnitudes_NB[:, 3]) / 0.6
    )
    pq.write_table(pa.table({"disc_radius": np.exp(width_N)}), tmp_path / STRUCTURE_FILE)
    split = split_examples(examples, 1, "tile")
    known = bound.with_structure(examples, tmp_path)
    row = bound.bound_row("bound", known, split, known, split.test_N)
    blind = replace(known, table_NT=np.where(np.arange(10) < 9, known.table_NT, 1.0).astype("f4"))
    blind.table_NT[:, 9] += np.random.default_rng(0).normal(size=len(blind))
    assert (
        row.figures["smad"]
        < 0.5 * bound.bound_row("bound", blind, split, blind, split.test_N).figures["smad"]
    )
    width_table = {
        "disc_radius": np.exp(np.random.default_rng(1).normal(size=3000)),
        CLUMPS: width_N,
    }
    pq.write_table(pa.table(width_table), tmp_path / STRUCTURE_FILE)
    clumps = bound.with_structure(examples, tmp_path)
    seeing, unseeing = bound.bound_rows(clumps, split, clumps, split.test_N)
    assert (seeing.name, unseeing.name) == ("information bound", "bound blind to clumps")
    assert seeing.figures["smad"] < 0.5 * unseeing.figures["smad"]
    pq.write_table(pa.table({"disc_radius": width_N[:-1]}), tmp_path / STRUCTURE_FILE)
    with pytest.raises(ConfigError, match="has 2999 rows, the set 3000; make it again"):
        bound.with_structure(examples, tmp_path)
