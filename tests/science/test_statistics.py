"""The statistics agree with hand calculations and naive loops.

Order, shift and missing rows do not matter.
"""

import statistics as stdlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from photoz_run.science.statistics import (
    coverage,
    fraction_beyond,
    group_bootstrap_intervals,
    mean,
    median,
    normalised_residual,
    outliers_3smad,
    outliers_rail,
    point_statistics,
    quantile,
    residual,
    sd,
    sigma_68,
    sigma_iqr,
    smad,
)

SCATTERS = (sd, smad, sigma_68, sigma_iqr)
VALUES = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60).map(np.array)
CI = settings(derandomize=True, deadline=None, max_examples=100)


def naive(z_phot, z_spec):
    """All statistics by the formulas of the docs, with the standard library."""
    dz = [p - s for p, s in zip(z_phot, z_spec, strict=True)]
    x = [d / (1 + s) for d, s in zip(dz, z_spec, strict=True)]
    n, centre = len(x), stdlib.median(x)
    scaled_mad = 1.4826 * stdlib.median([abs(v - centre) for v in x])

    def percentile(p):
        rank = p * (n - 1)
        ordered = [*sorted(x), max(x)]
        k = int(rank)
        return ordered[k] + (rank - k) * (ordered[k + 1] - ordered[k])

    iqr = (percentile(0.75) - percentile(0.25)) / 1.349
    return {
        "bias": stdlib.fmean(dz),
        "mean_normdz": stdlib.fmean(x),
        "median_normdz": centre,
        "sd_normdz": stdlib.pstdev(x),
        "smad": scaled_mad,
        "sigma_68": (percentile(0.84) - percentile(0.16)) / 2,
        "outliers_005": sum(abs(v) > 0.05 for v in x) / n,
        "outliers_015": sum(abs(v) > 0.15 for v in x) / n,
        "outliers_3smad": sum(abs(v - centre) > 3 * scaled_mad for v in x) / n,
        "outliers_rail": sum(abs(v) > max(0.06, 3 * iqr) for v in x) / n,
    }


@pytest.mark.parametrize("n", [1, 2, 3, 10, 501])
def test_agrees_with_naive_formulas(n):
    rng = np.random.default_rng(n)
    z_spec = rng.uniform(0.01, 0.6, n)
    z_phot = z_spec + 0.04 * rng.standard_t(2, n)
    values = point_statistics(z_phot, z_spec)
    expected = naive(z_phot.tolist(), z_spec.tolist())
    assert set(values) == set(expected)
    for name, value in expected.items():
        assert float(values[name]) == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("weighted", [False, True])
def test_all_together_are_the_single_functions(weighted):
    rng = np.random.default_rng(9)
    z_spec = rng.uniform(0, 0.6, 300)
    z_phot = z_spec + 0.03 * rng.standard_t(2, 300)
    weight = rng.uniform(0.5, 2, 300) if weighted else None
    x = normalised_residual(z_phot, z_spec)
    values = point_statistics(z_phot, z_spec, weight)
    singles = {
        "median_normdz": median,
        "mean_normdz": mean,
        "sd_normdz": sd,
        "smad": smad,
        "sigma_68": sigma_68,
        "outliers_3smad": outliers_3smad,
        "outliers_rail": outliers_rail,
    }
    for name, function in singles.items():
        assert values[name] == pytest.approx(function(x, weight), abs=1e-14), name


def test_known_answers_by_hand():
    assert residual(0.3, 0.2) == pytest.approx(0.1)
    assert normalised_residual(0.32, 0.2) == pytest.approx(0.1)
    x = [-3, -1, 0, 1, 8]
    assert (mean(x), median(x)) == (1, 0)
    assert sd(x) == pytest.approx(np.sqrt(14))
    assert smad(x) == pytest.approx(1.4826)  # |x| = 3 1 0 1 8
    assert sigma_iqr(x) == pytest.approx(2 / 1.349)
    assert sigma_68([0, 25, 50, 75, 100]) == pytest.approx(34)
    assert fraction_beyond(x, 1) == pytest.approx(0.4)
    assert outliers_3smad(x) == pytest.approx(0.2)
    assert outliers_rail([0.0] * 9 + [0.07]) == pytest.approx(0.1)
    assert outliers_rail([0.0] * 9 + [0.05]) == 0


def test_limits_are_exclusive():
    assert fraction_beyond([0.15, -0.15, 0.1500001], 0.15) == pytest.approx(1 / 3)


def test_scatters_of_a_gaussian_are_its_standard_deviation():
    x = np.random.default_rng(1).normal(0.003, 0.02, 200_000)
    for scatter in SCATTERS:
        assert scatter(x) == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("function", [mean, median, *SCATTERS, outliers_3smad, outliers_rail])
@pytest.mark.parametrize("x", [[], [np.nan], [np.nan, np.nan]])
def test_nothing_gives_nan_without_a_warning(function, x):
    assert np.isnan(function(x))
    assert np.isnan(function(x, np.ones(len(x))))


@pytest.mark.parametrize("weight", [None, [2.5]])
def test_one_object(weight):
    assert median([0.3], weight) == mean([0.3], weight) == pytest.approx(0.3)
    for scatter in SCATTERS:
        assert scatter([0.3], weight) == 0
    assert outliers_3smad([0.3], weight) == 0


@CI
@given(VALUES, st.floats(-2, 2))
def test_shift_moves_the_centre_and_leaves_the_scatter(x, shift):
    assert median(x + shift) == pytest.approx(median(x) + shift, abs=1e-9)
    assert mean(x + shift) == pytest.approx(mean(x) + shift, abs=1e-9)
    for scatter in SCATTERS:
        assert scatter(x + shift) == pytest.approx(scatter(x), abs=1e-7)


@CI
@given(VALUES, st.floats(-10, 10).filter(lambda s: abs(s) > 1e-3))
def test_scale(x, scale):
    for scatter in SCATTERS:
        assert scatter(scale * x) == pytest.approx(abs(scale) * scatter(x), abs=1e-9)


@CI
@given(VALUES, st.randoms(use_true_random=False), st.integers(0, 5))
def test_order_and_missing_rows_do_not_matter(x, random, holes):
    shuffled = [*x.tolist(), *[np.nan] * holes]
    random.shuffle(shuffled)
    for function in (mean, median, *SCATTERS, outliers_rail):
        assert function(shuffled) == pytest.approx(function(x), abs=1e-12)


@CI
@given(VALUES, st.floats(0.1, 10))
def test_equal_weights_change_nothing(x, weight):
    for function in (mean, median, *SCATTERS, outliers_rail, outliers_3smad):
        assert function(x, np.full(len(x), weight)) == pytest.approx(function(x), abs=1e-7)


@CI
@given(VALUES, st.integers(0, 2**31), st.floats(0.01, 100))
def test_weights_need_no_normalisation_and_zero_takes_a_row_out(x, seed, scale):
    weight = np.random.default_rng(seed).choice([0.0, 0.5, 1.0, 3.0], len(x))
    kept = weight > 0
    for function in (mean, median, *SCATTERS):
        expected = function(x[kept], weight[kept])
        assert function(x, scale * weight) == pytest.approx(expected, abs=1e-7, nan_ok=True)


def test_weighted_values_by_hand():
    assert mean([0, 1], [1, 3]) == pytest.approx(0.75)
    assert sd([0, 1], [1, 3]) == pytest.approx(np.sqrt(0.1875))
    assert fraction_beyond([0, 1], 0.5, [1, 3]) == pytest.approx(0.75)
    # n* = 36 / 18 = 2: the median averages the inverse distribution over levels 1/4 to 3/4, which
    # is all 20; the minimum over 0 to 1/2: a third of 10 and two thirds of 20.
    assert quantile([10, 20, 30], [0, 0.5, 1], [1, 4, 1]) == pytest.approx([50 / 3, 20, 70 / 3])
    assert median([0, 1, 100], [1, 1, 1000]) > 99


def test_reweighting_undoes_a_selection():
    """Half of one population is thrown away and the rest weighted twofold: nothing changes."""
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(-0.02, 0.01, 40_000), rng.normal(0.03, 0.03, 40_000)])
    kept = np.concatenate([np.arange(0, 40_000, 2), np.arange(40_000, 80_000)])
    weight = np.concatenate([np.full(20_000, 2.0), np.ones(40_000)])
    for function in (mean, median, *SCATTERS, outliers_rail):
        assert function(x[kept], weight) == pytest.approx(function(x), rel=0.03, abs=2e-4)


@CI
@given(arrays(np.float64, (4, 7), elements=st.floats(-1, 1)), st.booleans())
def test_rows_of_a_matrix_are_independent(x_RN, weighted):
    weight = np.linspace(0.5, 2, 28).reshape(4, 7) if weighted else None
    for function in (mean, median, *SCATTERS, outliers_3smad, outliers_rail):
        rows = [function(x_RN[k], None if weight is None else weight[k]) for k in range(4)]
        np.testing.assert_allclose(function(x_RN, weight), rows, atol=1e-12)


@CI
@given(VALUES, st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_quantile_is_numpys(x, levels):
    np.testing.assert_allclose(quantile(x, levels), np.quantile(x, levels), atol=1e-12)


def test_coverage():
    z = np.array([0.1, 0.2, 0.3, 0.4, np.nan])
    low, high = np.array([0.1, 0.21, 0.2, np.nan, 0.0]), np.array([0.2, 0.3, 0.3, 0.5, 1.0])
    assert coverage(z, low, high) == pytest.approx(2 / 3)
    assert coverage(z, low, high, np.array([1, 2, 1, 1, 1])) == pytest.approx(0.5)
    assert np.isnan(coverage(np.array([np.nan]), np.zeros(1), np.ones(1)))


def one_mean(x):
    return {"mean": mean(x)}


def test_the_bootstrap_over_groups_knows_what_their_members_share():
    dice = np.random.default_rng(3)
    group_N = np.repeat(np.arange(300), 20)
    x_N = dice.normal(size=300)[group_N] + dice.normal(size=6000)
    low, high = group_bootstrap_intervals(one_mean, [x_N], group_N, replicates=800)["mean"]
    # Variance of the mean: that of 300 shared parts, and that of 6000 own ones.
    assert (high - low) / 2 == pytest.approx(np.sqrt(1 / 300 + 1 / 6000), rel=0.12)
    low, high = group_bootstrap_intervals(one_mean, [x_N], np.zeros(6000), replicates=800)["mean"]
    assert (high - low) / 2 == pytest.approx(np.sqrt(2 / 6000), rel=0.12)
