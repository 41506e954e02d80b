"""The table of weights: what a sample lacks is told, and restored where spectra are."""

import numpy as np
import pytest

from photoz_run.science.statistics import smad
from studies.weights import Galaxies, as_markdown, chances, expected_smad, restore


def test_weights_restore_what_magnitudes_tell_and_nothing_else():
    dice = np.random.default_rng(1)
    r = 20 - dice.exponential(0.9, 6000).clip(0, 4)
    g_r = dice.normal(0.8, 0.3, 6000)
    x = dice.normal(0, 0.006 * np.exp(0.5 * (r - 17)), 6000)
    magnitude = r[:, None] + g_r[:, None] * np.linspace(1, -1, 9) + dice.normal(0, 0.03, (6000, 9))
    some = Galaxies(r, g_r, x, magnitude)
    rows = [(words, restore(some, chance, draws=1)) for words, chance in chances()]
    _, steps, _, _, none, hidden = (row for _, row in rows)
    assert steps.plain < 0.9
    assert steps.by_neighbours == pytest.approx(1, abs=0.1)
    assert steps.expected == pytest.approx(1, abs=0.03)
    assert none.plain < none.by_neighbours < 0.95  # there is no spectrum to be weighted
    assert none.lacking > 0.1
    assert hidden.by_neighbours == pytest.approx(hidden.plain, abs=0.05)  # no magnitude tells
    assert hidden.expected == pytest.approx(1, abs=0.03)
    assert as_markdown(rows).count("\n") == 2 + len(rows)


def test_the_expected_scatter_is_that_of_many_residuals():
    dice = np.random.default_rng(2)
    scatter, weight = dice.uniform(0.01, 0.05, 50), dice.uniform(0, 1, 50)
    x = scatter * dice.standard_normal((4000, 50))
    measured = smad(x.ravel(), np.broadcast_to(weight, x.shape).ravel())
    assert expected_smad(scatter, weight) == pytest.approx(float(measured), rel=0.01)
