"""Quantiles at any level from those that a bundle gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.science.intervals import quantile_at

LEVELS = np.array([0.025, 0.16, 0.5, 0.84, 0.975])


@given(
    steps=st.lists(st.floats(0, 0.25), min_size=5, max_size=5),
    level=st.floats(0.025, 0.975),
)
def test_between_levels_it_is_linear_and_never_leaves_the_neighbours(steps, level):
    quantiles_NQ = np.cumsum(steps)[None].astype(np.float32)
    value = quantile_at(level, LEVELS, quantiles_NQ)[0]
    assert value == pytest.approx(np.interp(level, LEVELS, quantiles_NQ[0]), abs=1e-6)


@pytest.mark.parametrize("k", range(5))
def test_at_a_level_it_is_that_quantile_bit_for_bit(k):
    quantiles_NQ = np.random.default_rng(2).random((7, 5)).astype(np.float32)
    np.testing.assert_array_equal(quantile_at(LEVELS[k], LEVELS, quantiles_NQ), quantiles_NQ[:, k])


@pytest.mark.parametrize("level", [0.0, 0.01, 0.98, 1.0])
def test_beyond_the_levels_nothing_is_invented(level):
    value = quantile_at(level, LEVELS, np.ones((3, 5), np.float32))
    assert value.shape == (3,)
    assert np.isnan(value).all()


def test_without_levels_and_for_missing_redshifts_it_is_missing():
    assert np.isnan(quantile_at(0.5, np.zeros(0), np.zeros((2, 0), np.float32))).all()
    assert np.isnan(quantile_at(0.3, LEVELS, np.full((2, 5), np.nan, np.float32))).all()


def test_a_single_level_answers_for_itself_only():
    values = np.array([[0.3]], np.float32)
    assert quantile_at(0.5, np.array([0.5]), values)[0] == np.float32(0.3)
    assert np.isnan(quantile_at(0.4, np.array([0.5]), values)[0])
