"""Weights restore what a biased spectroscopic sample of a catalogue has lost."""

import numpy as np
import pytest

from photoz_run.science.representative import (
    cell_weights,
    effective_number,
    neighbour_weights,
    space_of,
    spectra_at,
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


def placed(spec_NC, all_MC):
    """Both in the space of the catalogue."""
    space = space_of(all_MC)
    return space.place(spec_NC), space.place(all_MC)


@pytest.mark.parametrize("weights", [neighbour_weights, cell_weights])
def test_the_weighted_scatter_of_a_biased_sample_is_that_of_the_whole(weights):
    """Bright galaxies are favoured: unweighted, the scatter is far too small."""
    ratio_S, plain_S = np.zeros((2, 4))
    for seed in range(4):
        dice = np.random.default_rng(seed)
        magnitude_ND, r, x_N = catalogue(dice, 30_000)
        chosen = dice.random(30_000) < np.clip(0.9 * np.exp(-1.3 * (r - 17)), 0.04, 0.9)
        spec_ND, all_MD = placed(magnitude_ND[chosen], magnitude_ND)
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
    spec_ND, all_MD = placed(magnitude_ND[(r < 19) & (dice.random(20_000) < 0.5)], magnitude_ND)
    far = spectra_at(spec_ND).lack(all_MD)
    assert far[r > 19.5].mean() > 0.8
    assert far[r < 18.8].mean() < 0.05


@pytest.mark.parametrize("weights", [neighbour_weights, cell_weights])
def test_little_to_tell_apart(weights):
    """One galaxy, magnitudes that are all alike, none that is known."""
    assert weights(*placed(np.full((1, 9), 20.0), np.full((5, 9), 20.0))).tolist() == [1]
    assert weights(*placed(np.full((4, 9), 20.0), np.full((5, 9), 20.0))).tolist() == [1] * 4
    assert weights(*placed(np.full((4, 9), np.nan), np.full((5, 9), np.nan))).tolist() == [1] * 4
    spec_ND, all_MD = placed(np.full((4, 9), 20.0), np.full((5, 9), 20.0))
    assert not spectra_at(spec_ND).lack(all_MD).any()


def test_the_space_of_a_catalogue():
    """Units of its scatter; a missing value lies at the median, and is told."""
    dice = np.random.default_rng(3)
    all_MC = np.column_stack(
        [dice.normal(20, 2, 9999), np.full(9999, 7.0), dice.normal(0, 1, 9999)]
    )
    all_MC[0, 0] = np.nan
    space = space_of(all_MC)
    place_MD = space.place(all_MC)
    assert space.kept_C.tolist() == [True, False, True]
    assert np.median(place_MD, axis=0) == pytest.approx([0, 0], abs=1e-3)
    assert place_MD.std(axis=0) == pytest.approx([1, 1], rel=0.03)
    assert place_MD[0, 0] == 0
    assert np.flatnonzero(~space.complete(all_MC)).tolist() == [0]


def test_effective_number():
    assert effective_number(np.ones(7)) == 7
    assert effective_number([1, 0, 0]) == 1
    assert effective_number([0, 0]) == 0
