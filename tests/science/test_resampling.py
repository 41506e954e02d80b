"""Errors over groups: those of the formulas, for galaxies that share errors and for those not."""

import numpy as np
import pytest
from scipy import stats

from photoz_run.science.resampling import (
    errors_in,
    resample,
    small_sample_stretch,
)


def errors_by_group(terms, group_N, statistic=None, weight_N=None, **options):
    return errors_in(resample(group_N, **options), terms, statistic, weight_N)


def survey(rng, tiles, offset=0.004, scatter=0.015):
    """Residuals of tiles of different sizes that share an offset each; their true mean is 0."""
    tile_N = np.repeat(np.arange(tiles), rng.integers(50, 300, tiles))
    shared_T = rng.normal(0, offset, tiles)
    return scatter * rng.standard_t(5, len(tile_N)) + shared_T[tile_N], tile_N


def cluster_robust_error(x_N, tile_N, weight_N):
    """The error of a weighted mean from the residuals of its groups (Liang & Zeger 1986)."""
    total = weight_N.sum()
    centre = np.sum(weight_N * x_N) / total
    residual_T = np.bincount(tile_N, weight_N * (x_N - centre))
    tiles = len(residual_T)
    return np.sqrt(tiles / (tiles - 1) * np.sum(residual_T**2)) / total


@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_of_a_mean_is_that_of_the_formulas(weighted):
    rng = np.random.default_rng(1)
    x_N, tile_N = survey(rng, 60)
    weight_N = rng.exponential(1, len(x_N)) if weighted else np.ones(len(x_N))
    errors = errors_by_group([x_N], tile_N, weight_N=weight_N, replicates=3000)
    assert errors.value == pytest.approx(np.average(x_N, weights=weight_N))
    assert errors.groups == 60
    assert errors.error == pytest.approx(cluster_robust_error(x_N, tile_N, weight_N), rel=0.06)
    effective = weight_N.sum() ** 2 / np.sum(weight_N**2)
    assert errors.by_galaxy == pytest.approx(np.std(x_N) / np.sqrt(effective), rel=0.12)
    assert errors.error > 1.5 * errors.by_galaxy


def test_where_tiles_share_nothing_both_errors_agree():
    x_N, tile_N = survey(np.random.default_rng(2), 60, offset=0.0)
    errors = errors_by_group([x_N], tile_N, replicates=1000)
    assert errors.error == pytest.approx(errors.by_galaxy, rel=0.25)


def test_the_interval_holds_the_truth_about_two_times_in_three():
    """In 300 surveys of 8 to 60 tiles."""
    rng = np.random.default_rng(7)
    inside = 0
    for seed in range(300):
        x_N, tile_N = survey(rng, rng.integers(8, 61))
        errors = errors_by_group([x_N], tile_N, seed=seed)
        inside += errors.low <= 0 <= errors.high
    assert 0.63 <= inside / 300 <= 0.73


def test_a_function_of_two_means():
    """The error of a standard deviation of Gaussian values is sigma / sqrt(2 n)."""
    x_N = np.random.default_rng(3).normal(0.2, 0.015, 40_000)
    tile_N = np.arange(40_000) % 50
    errors = errors_by_group(
        [x_N, x_N**2], tile_N, lambda mean, square: np.sqrt(square - mean**2), replicates=1000
    )
    assert errors.value == pytest.approx(np.std(x_N))
    assert errors.by_galaxy == pytest.approx(0.015 / np.sqrt(80_000), rel=0.15)


def test_differences_of_two_sets_are_paired():
    """What a tile shares cancels in the difference of two sets of its galaxies."""
    rng = np.random.default_rng(4)
    x_N, tile_N = survey(rng, 30, offset=0.05)
    resampling = resample(tile_N)
    half_N = rng.random(len(x_N)) < 0.5
    difference = errors_in(
        resampling,
        [np.where(half_N, x_N, np.nan), np.where(half_N, np.nan, x_N)],
        lambda first, second: first - second,
    )
    assert difference.error < 0.2 * errors_in(resampling.of(half_N), [x_N[half_N]]).error


def test_the_order_of_rows_changes_no_error_by_galaxy_beyond_chance():
    """Rows sorted by their value are no closer to each other's mean."""
    x_N, tile_N = survey(np.random.default_rng(5), 40, offset=0.0)
    order = np.argsort(x_N)
    errors = errors_by_group([x_N[order]], tile_N[order], replicates=1000)
    assert errors.by_galaxy == pytest.approx(np.std(x_N) / np.sqrt(len(x_N)), rel=0.12)


def test_too_few_groups_or_galaxies():
    x_N = np.random.default_rng(6).normal(0, 1, 100)
    one_tile = errors_by_group([x_N], np.zeros(100, int))
    assert one_tile.groups == 1
    assert one_tile.error == pytest.approx(0.1, rel=0.3)
    for count in (0, 1):
        errors = errors_by_group([np.zeros(count)], np.zeros(count, int))
        assert np.isnan(errors.error)
    assert np.isnan(errors_by_group([[np.nan, np.nan]], [0, 1]).value)
    assert np.isnan(errors_by_group([[1.0, 2.0]], [0, 1], weight_N=[0, 0]).value)


def test_names_of_tiles_are_groups():
    x_N = np.arange(6.0)
    assert errors_by_group([x_N], ["b", "b", "a", "a", "c", "c"]).groups == 3


def test_the_stretch_is_students():
    assert small_sample_stretch(np.ones(10_000)) == pytest.approx(1, abs=1e-3)
    expected = stats.t.ppf(0.84, 7) / stats.norm.ppf(0.84) * np.sqrt(8 / 7)
    assert small_sample_stretch(np.ones(8)) == pytest.approx(expected)
    assert np.isnan(small_sample_stretch([5.0, 0.0]))
