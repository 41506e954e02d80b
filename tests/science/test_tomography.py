"""Tomographic bins: who is in which, and what the distributions of the bins are."""

import numpy as np
import pytest
from scipy import stats

from photoz_run.science.calibration import cumulative
from photoz_run.science.tomography import (
    NOWHERE,
    by_mass,
    by_point,
    densities,
    equal_edges,
    histogram,
    stack,
)

LEVELS = np.linspace(0.02, 0.98, 25)
GRID = np.linspace(0, 1, 201)


def gaussians(centre_N, width_N):
    return np.asarray(centre_N)[:, None] + np.asarray(width_N)[:, None] * stats.norm.ppf(LEVELS)


def test_the_cumulative_probability_of_gaussians_is_theirs():
    centre, width = np.array([0.3, 0.5]), np.array([0.05, 0.1])
    expected = stats.norm.cdf((GRID - centre[:, None]) / width[:, None])
    np.testing.assert_allclose(cumulative(GRID, gaussians(centre, width), LEVELS), expected, 1e-9)


def test_bins_hold_equal_numbers_and_all_galaxies():
    z = np.append(np.random.default_rng(1).gamma(4, 0.06, 1000), np.nan)
    bin_N = by_point(z, equal_edges(z, 4))
    assert np.bincount(bin_N[:-1]).tolist() == [250] * 4
    assert bin_N[-1] == NOWHERE


def test_a_galaxy_belongs_to_the_bin_whose_lower_edge_it_has():
    bin_N = by_point([0.05, 0.1, 0.2999, 0.3, 0.5, np.nan], [0.1, 0.3, 0.5])
    assert bin_N.tolist() == [NOWHERE, 0, 0, 1, NOWHERE, NOWHERE]


def test_by_mass_is_where_most_of_the_distribution_lies():
    # The mode of the second lies in the first bin, most of it in the second.
    quantiles = gaussians([0.2, 0.31, 0.9, 0.2], [0.03, 0.03, 0.03, 0.03])
    quantiles[1, 8:] += np.linspace(0, 0.15, 17)
    quantiles[3] = np.nan
    assert by_mass(quantiles, LEVELS, [0.1, 0.32, 0.6]).tolist() == [0, 1, NOWHERE, NOWHERE]


def test_stacked_gaussians_are_their_sum():
    rng = np.random.default_rng(2)
    centre, width = rng.uniform(0.3, 0.6, 300), rng.uniform(0.02, 0.04, 300)
    bin_N = rng.integers(-1, 2, 300)
    got = stack(gaussians(centre, width), LEVELS, bin_N, 2, GRID)
    for k in range(2):
        rows = bin_N == k
        each = stats.norm.cdf((GRID - centre[rows, None]) / width[rows, None])
        np.testing.assert_allclose(
            got.density_BK[k], np.diff(each).mean(axis=0) / 0.005, rtol=1e-6, atol=1e-9
        )
    np.testing.assert_allclose(got.density_BK @ np.diff(GRID), 1)
    np.testing.assert_allclose(got.mean_N, centre, atol=1e-6)
    variance = got.square_N - got.mean_N**2
    # Cells of 0.005 are even inside: they widen a distribution by their own variance, twice.
    np.testing.assert_allclose(variance, width**2 + 0.005**2 / 6, rtol=0.01)


def test_a_missing_distribution_counts_nowhere():
    quantiles = gaussians([0.3, 0.3], [0.03, 0.03])
    quantiles[1] = np.nan
    got = stack(quantiles, LEVELS, np.zeros(2, int), 1, GRID)
    alone = stack(quantiles[:1], LEVELS, np.zeros(1, int), 1, GRID)
    np.testing.assert_array_equal(got.density_BK, alone.density_BK)
    assert np.isnan(got.mean_N[1])


def test_a_weighted_histogram_integrates_to_one_and_an_empty_bin_is_nothing():
    z = np.array([0.21, 0.22, 0.61])
    got = histogram(z, [1, 3, 2], np.array([0, 0, 2]), 3, np.array([0.2, 0.215, 0.7]))
    assert got[0] == pytest.approx([0.25 / 0.015, 0.75 / 0.485])
    assert got[1].tolist() == [0, 0]
    assert densities(np.zeros((1, 2)), np.array([0, 1, 2.0])).tolist() == [[0, 0]]
