"""Other redshift columns are compared on the same galaxies, so that common errors cancel."""

import numpy as np
import pytest

from photoz_run.science.calibration import cde_loss_terms, pinball_loss_terms
from photoz_run.science.statistics import normalised_residual, smad
from photoz_run.validation.metrics import compare, distribution, measure


@pytest.fixture
def columns():
    rng = np.random.default_rng(1)
    z = rng.uniform(0.05, 0.5, 3000)
    common = 0.015 * rng.standard_normal(3000)
    ours = z + common * (1 + z)
    theirs = z + (common + 0.005 * rng.standard_normal(3000) + 0.002) * (1 + z)
    return {"Z_SPEC": z, "Z_PHOT": ours, "Z_B": theirs, "W": rng.uniform(0.5, 2, 3000)}


@pytest.mark.parametrize("weight", ["", "W"])
def test_the_same_galaxies(columns, weight):
    columns["Z_PHOT"][:10], columns["Z_B"][10:25], columns["Z_B"][25:30] = np.nan, np.nan, -99.0
    group, paired = compare(columns, "Z_B", weight)
    rows = slice(30, None)
    w = columns["W"][rows] if weight else None
    ours, theirs = (
        float(smad(normalised_residual(columns[c][rows], columns["Z_SPEC"][rows]), w))
        for c in ("Z_PHOT", "Z_B")
    )
    assert group.n == 2970
    assert group["smad"].value == pytest.approx(theirs)
    assert paired["smad"].value == pytest.approx(ours - theirs)


def test_paired_errors_are_smaller_than_unpaired_ones(columns):
    group, paired = compare(columns, "Z_B")
    _, ours = measure(columns)
    assert paired["bias"].error < 0.5 * np.hypot(ours["bias"].error, group["bias"].error)
    assert paired["bias"].value == pytest.approx(-0.002 * 1.27, abs=6e-4)
    assert paired["smad"].high < 0


def test_a_column_beside_itself_differs_by_nothing(columns):
    _, paired = compare(columns | {"Z_B": columns["Z_PHOT"]}, "Z_B")
    assert all((e.value, e.low, e.high) == (0, 0, 0) for e in paired.values())


def test_nothing_in_common(columns):
    group, paired = compare(columns | {"Z_B": np.full(3000, np.nan)}, "Z_B")
    assert group.n == 0
    assert np.isnan(paired["smad"].value)


def test_distribution_prefers_the_quantile_column(columns):
    z, sigma = columns["Z_PHOT"], 0.015 * (1 + columns["Z_PHOT"])
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    scores = np.array([-1.2816, -0.5244, 0, 0.5244, 1.2816])
    ends = {"LO95": -1.96, "LO68": -0.9945, "HI68": 0.9945, "HI95": 1.96}
    five = columns | {f"Z_PHOT_{name}": z + k * sigma for name, k in ends.items()}
    many = five | {"Z_QUANTILES": z[:, None] + scores * sigma[:, None]}
    from_many, from_five = distribution(many, levels), distribution(five, np.empty(0))
    assert from_many.source == "from 5 quantiles of Z_QUANTILES"
    assert from_five.source.startswith("approximated from five points")
    np.testing.assert_allclose(from_many.pit_N, from_five.pit_N, atol=1e-3)
    assert from_many.uniformity.ks_p > 0.001
    assert distribution(columns, levels) is None


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
    every, weighted = distribution(many, levels), distribution(many, levels, "W")
    assert weighted.cde_loss.value > every.cde_loss.value
    terms = cde_loss_terms(many["Z_SPEC"], many["Z_QUANTILES"], levels)
    assert weighted.cde_loss.value == pytest.approx(np.average(terms, weights=many["W"]))
    terms = pinball_loss_terms(many["Z_SPEC"], many["Z_QUANTILES"], levels)
    assert every.pinball_loss.value == pytest.approx(terms.mean())
    assert every.pinball_loss.error == pytest.approx(terms.std() / np.sqrt(len(terms)), rel=0.25)
