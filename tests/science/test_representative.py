"""Weights restore what a biased spectroscopic sample of a catalogue has lost."""

import numpy as np
import pytest

from photoz_run.science.representative import (
    cell_weights,
    effective_number,
    neighbour_weights,
    scaled,
    without_spectrum,
)
from photoz_run.science.statistics import smad


def catalogue(dice, number):
    """Nine magnitudes of galaxies whose scatter grows with magnitude, and their residuals."""
    r = 20 - dice.exponential(0.9, number).clip(0, 4)
    colour = dice.normal(0, 0.3, number)
    magnitude_ND = r[:, None] + colour[:, None] * np.linspace(1, -1, 9)
    magnitude_ND += dice.normal(0, 0.03, (number, 9))
    x_N = dice.normal(0, 0.008 * np.exp(0.35 * (r - 16)), number)
    return magnitude_ND, r, x_N


@pytest.mark.parametrize("weights", [neighbour_weights, cell_weights])
def test_the_weighted_scatter_of_a_biased_sample_is_that_of_the_whole(weights):
    """Bright galaxies are favoured: unweighted, the scatter is far too small."""
    ratio_S, plain_S = np.zeros((2, 4))
    for seed in range(4):
        dice = np.random.default_rng(seed)
        magnitude_ND, r, x_N = catalogue(dice, 30_000)
        chosen = dice.random(30_000) < np.clip(0.9 * np.exp(-1.3 * (r - 17)), 0.04, 0.9)
        spec_ND, all_MD = scaled(magnitude_ND[chosen], magnitude_ND)
        weight_N = weights(spec_ND, all_MD)
        ratio_S[seed] = smad(x_N[chosen], weight_N) / smad(x_N)
        plain_S[seed] = smad(x_N[chosen]) / smad(x_N)
        assert weight_N.mean() == pytest.approx(1)
        assert effective_number(weight_N) < chosen.sum()
    assert ratio_S.mean() == pytest.approx(1, abs=0.03)
    assert plain_S.max() < 0.9


def test_sources_that_no_spectrum_is_like():
    dice = np.random.default_rng(2)
    magnitude_ND, r, _ = catalogue(dice, 20_000)
    spec_ND, all_MD = scaled(magnitude_ND[(r < 19) & (dice.random(20_000) < 0.5)], magnitude_ND)
    far = without_spectrum(spec_ND, all_MD)
    assert far[r > 19.5].mean() > 0.8
    assert far[r < 18.8].mean() < 0.05


@pytest.mark.parametrize("weights", [neighbour_weights, cell_weights])
def test_little_to_tell_apart(weights):
    """One galaxy, magnitudes that are all alike, none that is known."""
    assert weights(*scaled(np.full((1, 9), 20.0), np.full((5, 9), 20.0))).tolist() == [1]
    assert weights(*scaled(np.full((4, 9), 20.0), np.full((5, 9), 20.0))).tolist() == [1] * 4
    assert weights(*scaled(np.full((4, 9), np.nan), np.full((5, 9), np.nan))).tolist() == [1] * 4
    assert not without_spectrum(*scaled(np.full((4, 9), 20.0), np.full((5, 9), 20.0))).any()


def test_effective_number():
    assert effective_number(np.ones(7)) == 7
    assert effective_number([1, 0, 0]) == 1
    assert effective_number([0, 0]) == 0
