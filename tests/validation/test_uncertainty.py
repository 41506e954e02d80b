"""Whether errors describe the scatter is judged from the model's own quantiles, bin by bin."""

import os
import subprocess
import sys
from pathlib import Path

import fitsio
import numpy as np
import pytest
from scipy import stats

from photoz_run.science.calibration import cde_loss_terms, pinball_loss_terms
from photoz_run.science.resampling import resample
from photoz_run.validation.document import read_metrics
from photoz_run.validation.metrics import sample
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.uncertainty import distribution
from support.runs import command, options
from support.tiles import make_tile

PLAIN = ValidationSettings()
LEVELS = np.array([0.025, 0.16, 0.3, 0.5, 0.7, 0.84, 0.975])


def single(columns, settings=PLAIN):
    """Pairs that share nothing."""
    return grouped(columns, np.arange(len(columns["Z_SPEC"])), settings)


def grouped(columns, group_N, settings=PLAIN):
    return sample(columns, resample(group_N), settings.weight)


@pytest.fixture
def columns():
    rng = np.random.default_rng(1)
    z = rng.uniform(0.05, 0.5, 3000)
    ours = z + 0.015 * rng.standard_normal(3000) * (1 + z)
    return {"Z_SPEC": z, "Z_PHOT": ours, "W": rng.uniform(0.5, 2, 3000)}


def test_distribution_prefers_the_quantile_column(columns):
    z, sigma = columns["Z_PHOT"], 0.015 * (1 + columns["Z_PHOT"])
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    scores = np.array([-1.2816, -0.5244, 0, 0.5244, 1.2816])
    ends = {"LO95": -1.96, "LO68": -0.9945, "HI68": 0.9945, "HI95": 1.96}
    five = columns | {f"Z_PHOT_{name}": z + k * sigma for name, k in ends.items()}
    many = five | {"Z_QUANTILES": z[:, None] + scores * sigma[:, None]}
    from_many = distribution(many, levels, PLAIN, single(many))
    from_five = distribution(five, np.empty(0), PLAIN, single(five))
    assert from_many.source == "from 5 quantiles of Z_QUANTILES"
    assert from_five.source.startswith("approximated from five points")
    np.testing.assert_allclose(from_many.pit_N, from_five.pit_N, atol=1e-3)
    assert from_many.uniformity.ks_p > 0.001
    assert distribution(columns, levels, PLAIN, single(columns)) is None


def test_what_pairs_of_a_group_share_widens_the_errors(columns):
    sigma = 0.015 * (1 + columns["Z_PHOT"])
    group_N = np.repeat(np.arange(30), 100).astype(np.int32)
    shared_N = sigma * np.random.default_rng(6).standard_normal(30)[group_N]
    many = columns | {
        "Z_QUANTILES": (columns["Z_PHOT"] + shared_N)[:, None]
        + np.array([-1.2816, 0, 1.2816]) * 1.4 * sigma[:, None]
    }
    levels = np.array([0.1, 0.5, 0.9])
    alone, together = (
        distribution(many, levels, PLAIN, pairs).overall.estimates["crps"]
        for pairs in (single(many), grouped(many, group_N))
    )
    assert together.value == pytest.approx(alone.value)
    assert together.error > 2 * alone.error


def test_losses_have_weights_and_intervals_as_wide_as_their_error(columns):
    rng = np.random.default_rng(3)
    sigma = 0.015 * (1 + columns["Z_PHOT"])
    half = np.arange(len(sigma)) % 2
    many = columns | {
        "Z_QUANTILES": columns["Z_PHOT"][:, None]
        + np.array([-1.2816, 0, 1.2816]) * (sigma * (1 + half))[:, None],
        "W": half * rng.uniform(1, 2, len(half)),
    }
    levels = np.array([0.1, 0.5, 0.9])
    every, weighted = (
        distribution(many, levels, settings, single(many, settings)).overall.estimates
        for settings in (PLAIN, ValidationSettings(weight="W"))
    )
    assert weighted["cde_loss"].value > every["cde_loss"].value
    terms = cde_loss_terms(many["Z_SPEC"], many["Z_QUANTILES"], levels)
    assert weighted["cde_loss"].value == pytest.approx(np.average(terms, weights=many["W"]))
    terms = pinball_loss_terms(many["Z_SPEC"], many["Z_QUANTILES"], levels)
    assert every["pinball_loss"].value == pytest.approx(terms.mean())
    assert every["pinball_loss"].error == pytest.approx(terms.std() / np.sqrt(len(terms)), rel=0.25)


def test_a_fault_of_one_magnitude_is_seen_in_its_bins_alone():
    rng = np.random.default_rng(5)
    n = 40_000
    z = rng.uniform(0.1, 0.4, n)
    magnitude = rng.uniform(16, 20, n)
    tile = rng.integers(0, 20, n).astype(str)
    quoted = np.where(magnitude > 19, 0.01, 0.02)
    z_phot = z + 0.02 * rng.standard_normal(n)
    columns = {
        "Z_SPEC": z,
        "Z_PHOT": z_phot,
        "Z_PHOT_ERR": quoted,
        "MAG_AUTO_CALIB": magnitude,
        "KIDS_TILE": tile,
        "Z_QUANTILES": z_phot[:, None] + quoted[:, None] * stats.norm.ppf(LEVELS),
    }
    settings = ValidationSettings(edges={"r": (16, 17, 18, 19, 20)})
    judged = distribution(columns, LEVELS, settings, grouped(columns, tile))
    *good, bad = judged.bins["r"]
    for quality in good:
        assert quality.estimates["coverage_68"].value == pytest.approx(0.68, abs=0.02)
        assert quality.estimates["pull_smad"].value == pytest.approx(1, abs=0.03)
        assert quality.uniformity.ks_p > 1e-3
    inside = 2 * stats.norm.cdf(stats.norm.ppf(0.84) / 2) - 1
    assert bad.estimates["coverage_68"].value == pytest.approx(inside, abs=0.02)
    assert bad.estimates["pull_smad"].value == pytest.approx(2, abs=0.06)
    assert (
        bad.estimates["calibration_error"].value > 5 * good[0].estimates["calibration_error"].value
    )
    assert {len(judged.bins[name]) for name in ("z_phot", "z_spec")} == {8}
    assert len(judged.bins["tile"]) == 20
    crps = judged.overall.estimates["crps"]
    assert crps.low < crps.value < crps.high


@pytest.fixture(scope="module")
def runs(bundle, tmp_path_factory):
    """The same two tiles measured with all quantiles and colours, and as a run is by default."""
    folder = tmp_path_factory.mktemp("uncertainty")
    tiles = [
        make_tile(folder / "data", name, seed=3) for name in ("KIDS_10.0_-31.2", "KIDS_180.0_-0.5")
    ]
    rng = np.random.default_rng(2)
    specz = folder / "specz.fits"
    ra, dec = (
        np.concatenate([getattr(tile, name) for tile in tiles]) for name in ("ra_N", "dec_N")
    )
    fitsio.write(specz, [ra, dec, rng.uniform(0.1, 0.3, len(ra))], names=["ra", "dec", "zspec"])
    keep = ("--quantiles", "--keep", "MAG_GAAP_g", "MAG_GAAP_r")
    for out, more in (("full", keep), ("plain", ())):
        done = command(options(folder / "data", bundle, folder / out, *more))
        assert done.returncode == 0, done.stderr
    return folder


def validated(folder: Path, run: str):
    arguments = [str(folder / run), "--specz", str(folder / "specz.fits"), "--z", "zspec"]
    done = subprocess.run(
        [sys.executable, "-m", "photoz_run", "validate", *arguments, "--no-plots"],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "250"},
    )
    assert done.returncode == 0, done.stderr
    return read_metrics(folder / run / "validation" / "metrics.json"), done.stderr


def test_what_a_run_did_not_keep_comes_from_its_inputs_and_its_model(runs):
    full, _ = validated(runs, "full")
    plain, said = validated(runs, "plain")
    assert "measured again: the run kept no quantiles" in said
    assert full.distribution.source == "from 21 quantiles of Z_QUANTILES"
    number = plain.distribution.overall.n
    assert plain.distribution.source == (
        f"from 21 quantiles of {number} galaxies in 2 tiles, measured again"
    )
    for name, estimate in full.distribution.overall.statistics.items():
        again = plain.distribution.overall.statistics[name]
        assert again.value == pytest.approx(estimate.value, rel=1e-4), name
    assert plain.breakdowns["g_r"] == full.breakdowns["g_r"]
    assert plain.breakdowns["colour"] == full.breakdowns["colour"]
    assert any(
        "read from the catalogues that the run measured" in note and "MAG_GAAP_g" in note
        for note in plain.notes
    )


def test_inputs_that_changed_are_not_used(runs):
    catalogue = next((runs / "data").glob("KiDS_DR5.0_180.0*_cat.fits"))
    content = catalogue.read_bytes()
    catalogue.write_bytes(content + bytes(2880))
    try:
        metrics, _ = validated(runs, "plain")
    finally:
        catalogue.write_bytes(content)
    assert "g_r" not in metrics.breakdowns
    assert (
        "columns that the run did not keep are not known: the catalogue of KIDS_180.0_-0.5 is not"
        " the one that was measured"
    ) in metrics.notes
