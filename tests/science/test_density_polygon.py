"""The curve of a distribution has the area and the shape of the distribution."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from photoz_models.contract import QUANTILE_LEVELS
from photoz_run.science.intervals import density_polygon

LEVELS = np.array(QUANTILE_LEVELS)


def test_a_gaussian_keeps_its_peak_its_width_and_its_area():
    z_K, density_K = density_polygon(LEVELS, norm(0.3, 0.02).ppf(LEVELS))
    grid = np.linspace(0.24, 0.36, 400)
    drawn = np.interp(grid, z_K, density_K, 0, 0)
    assert abs(np.trapezoid(density_K, z_K) - 1) < 0.03
    assert np.abs(drawn - norm(0.3, 0.02).pdf(grid)).max() < 0.08 * norm(0.3, 0.02).pdf(0.3)
    assert density_K[0] == density_K[-1] == 0


@given(st.lists(st.floats(0, 2), min_size=len(LEVELS), max_size=len(LEVELS)).map(sorted))
def test_it_is_finite_ordered_and_nowhere_negative(quantiles):
    z_K, density_K = density_polygon(LEVELS, np.array(quantiles))
    assert np.isfinite(density_K).all()
    assert (density_K >= 0).all()
    assert (np.diff(z_K) >= 0).all()


def test_few_levels_will_do():
    z_K, density_K = density_polygon(np.array([0.16, 0.84]), np.array([0.1, 0.2]))
    np.testing.assert_allclose(density_K, [0, 6.8, 0])
    assert z_K[0] < 0.1 < 0.2 < z_K[-1]
