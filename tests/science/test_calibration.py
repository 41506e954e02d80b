"""PIT, CRPS, CDE loss and pinball loss agree with numerical integration and with closed forms."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from photoz_run.errors import BadDataError
from photoz_run.science.calibration import (
    calibration_error,
    cde_loss,
    crps_terms,
    ks_uniformity,
    pinball_loss,
    pit,
    uniformity,
)

LEVELS = np.array([0.025, 0.16, 0.5, 0.84, 0.975])
CI = settings(derandomize=True, deadline=None, max_examples=30)


def gaussians(n=4000, seed=1, width=1.0):
    """True redshifts, and quantiles of Gaussians ``width`` times as wide as the errors."""
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.01, 0.05, n)
    centre = rng.uniform(0.1, 0.5, n)
    z = rng.normal(centre, sigma)
    return z, centre[:, None] + width * sigma[:, None] * stats.norm.ppf(LEVELS), centre, sigma


def test_gaussians_are_recovered_from_their_quantiles():
    z, quantiles, centre, sigma = gaussians()
    np.testing.assert_allclose(
        pit(z, quantiles, LEVELS), stats.norm.cdf(z, centre, sigma), atol=1e-9
    )
    expected = np.mean(1 / (2 * sigma * np.sqrt(np.pi)) - 2 * stats.norm.pdf(z, centre, sigma))
    assert cde_loss(z, quantiles, LEVELS) == pytest.approx(expected, rel=1e-6)


@CI
@given(st.lists(st.floats(0.002, 0.2), min_size=4, max_size=4), st.floats(-0.1, 0.9))
def test_any_distribution_integrates_to_one_and_its_losses_are_integrals(steps, z):
    quantiles = 0.1 + np.cumsum([0.0, *steps])[None]

    def cumulative(x):
        return pit(np.array([x]), quantiles, LEVELS)[0]

    def density(x, h=1e-7):
        return (cumulative(x + h) - cumulative(x - h)) / (2 * h)

    ends = [quantiles[0, 0] - 4, *quantiles[0], quantiles[0, -1] + 4]
    pieces = list(pairwise(ends))
    total = sum(integrate.quad(density, a, b, limit=200)[0] for a, b in pieces)
    square = sum(integrate.quad(lambda x: density(x) ** 2, a, b, limit=200)[0] for a, b in pieces)
    assert total == pytest.approx(1, abs=2e-3)
    if np.min(np.abs(quantiles - z)) > 1e-6:
        assert cde_loss(np.array([z]), quantiles, LEVELS) == pytest.approx(
            square - 2 * density(z), rel=1e-3, abs=1e-4
        )


def test_pit_at_the_quantiles_is_the_level_and_grows():
    quantiles = np.array([[0.1, 0.15, 0.2, 0.3, 0.5]])
    np.testing.assert_allclose(
        pit(quantiles[0], np.repeat(quantiles, 5, 0), LEVELS), LEVELS, atol=1e-12
    )
    z = np.linspace(-1, 2, 500)
    values = pit(z, np.repeat(quantiles, 500, 0), LEVELS)
    assert np.all(np.diff(values) >= 0)
    assert values[0] < 1e-3
    assert values[-1] > 1 - 1e-3


def test_pit_of_calibrated_predictions_is_uniform_and_of_narrow_ones_is_not():
    z, quantiles, *_ = gaussians()
    assert uniformity(pit(z, quantiles, LEVELS)).ks_p > 0.01
    assert uniformity(pit(z, quantiles, LEVELS)).cvm_p > 0.01
    z, quantiles, *_ = gaussians(width=0.7)
    assert uniformity(pit(z, quantiles, LEVELS)).ks_p < 1e-6


def test_losses_are_least_for_the_right_width():
    losses = {}
    for width in (0.6, 1.0, 1.6):
        z, q, *_ = gaussians(width=width)
        losses[width] = cde_loss(z, q, LEVELS), pinball_loss(z, q, LEVELS)
    for k in (0, 1):
        assert losses[1.0][k] < min(losses[0.6][k], losses[1.6][k])


def test_pinball_by_hand():
    # z - q = 0.1 at level 0.2 and -0.1 at level 0.8: 0.02 and 0.02.
    assert pinball_loss([0.3], [[0.2, 0.4]], [0.2, 0.8]) == pytest.approx(0.02)
    assert pinball_loss([0.3], [[0.2]], [0.5]) == pytest.approx(0.05)


def test_a_weight_counts_an_object_as_often():
    z, quantiles, *_ = gaussians(n=50)
    weight = np.arange(50) % 4
    for loss in (cde_loss, pinball_loss):
        repeated = loss(np.repeat(z, weight), np.repeat(quantiles, weight, axis=0), LEVELS)
        assert loss(z, quantiles, LEVELS, weight) == pytest.approx(repeated)


@pytest.mark.parametrize("n", [20, 150, 3000])
def test_the_quick_test_is_the_exact_one(n):
    values = np.random.default_rng(n).random(n) ** (1 + 0.5 / np.sqrt(n))
    quick, exact = ks_uniformity(values), uniformity(values)
    assert quick.ks == pytest.approx(exact.ks, abs=1e-12)
    assert quick.ks_p == pytest.approx(exact.ks_p, rel=0.02)
    assert np.isnan(ks_uniformity([0.5]).ks)


def test_uniformity_by_hand():
    u = uniformity([0.1, 0.2, 0.3, 0.4])
    assert u.ks == pytest.approx(0.6)
    expected = 1 / 48 + sum(
        ((2 * k - 1) / 8 - x) ** 2 for k, x in enumerate([0.1, 0.2, 0.3, 0.4], start=1)
    )
    assert u.cvm == pytest.approx(expected)


def test_missing_values_and_ties():
    quantiles = np.array([[0.1, 0.2, 0.2, 0.2, 0.3], [np.nan] * 5, [0.1, 0.2, 0.3, 0.4, 0.5]])
    values = pit([0.2, 0.2, np.nan], quantiles, LEVELS)
    assert 0.1 < values[0] < 0.9
    assert np.all(np.isnan(values[1:]))
    assert np.isfinite(cde_loss([0.2, 0.2, np.nan], quantiles, LEVELS))
    assert np.isnan(uniformity([np.nan, 0.5]).ks)
    assert np.isnan(cde_loss([], np.empty((0, 5)), LEVELS))


@pytest.mark.parametrize("levels", [[0.5], [0.0, 0.5], [0.5, 1.0], [0.6, 0.4], [0.2, 0.5, 0.8]])
def test_levels_that_make_no_sense_are_refused(levels):
    with pytest.raises(BadDataError, match="quantile levels"):
        pit([0.2], [[0.1, 0.3]] if len(levels) != 1 else [[0.1]], levels)


def test_the_crps_of_gaussians_is_the_closed_form():
    z, quantiles, centre, sigma = gaussians()
    score = (z - centre) / sigma
    density, below = stats.norm.pdf(score), stats.norm.cdf(score)
    expected = sigma * (score * (2 * below - 1) + 2 * density - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(crps_terms(z, quantiles, LEVELS), expected, rtol=1e-9)


@CI
@given(st.lists(st.floats(0.002, 0.2), min_size=4, max_size=4), st.floats(-0.1, 0.9))
def test_the_crps_of_any_distribution_is_the_integral(steps, z):
    quantiles = 0.1 + np.cumsum([0.0, *steps])[None]
    grid = np.linspace(-3, 4, 200_001)
    cumulative = pit(grid, np.repeat(quantiles, len(grid), axis=0), LEVELS)
    expected = np.sum((cumulative - (grid >= z)) ** 2) * (grid[1] - grid[0])
    assert crps_terms([z], quantiles, LEVELS)[0] == pytest.approx(expected, rel=2e-3, abs=2e-5)


def test_the_right_width_has_the_least_crps_and_no_calibration_error():
    losses, errors = {}, {}
    for width in (0.5, 0.8, 1.0, 1.25, 2.0):
        z, quantiles, _, _ = gaussians(20_000, width=width)
        losses[width] = crps_terms(z, quantiles, LEVELS).mean()
        errors[width] = calibration_error(pit(z, quantiles, LEVELS))
    assert min(losses, key=losses.get) == min(errors, key=errors.get) == 1.0
    assert errors[1.0] < 0.006 < 0.02 < errors[0.8]


def test_the_calibration_error_is_the_mean_distance_from_the_diagonal():
    assert calibration_error(np.full(10, 0.5)) == pytest.approx(
        np.mean([abs((level >= 0.5) - level) for level in np.arange(1, 20) / 20])
    )
    assert np.isnan(calibration_error([np.nan]))
    assert np.isnan(crps_terms([np.nan], [[0.1, 0.2, 0.3, 0.4, 0.5]], LEVELS)).all()
