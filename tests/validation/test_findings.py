"""What stands out: rarely anything in a clean survey, and always what was planted."""

import numpy as np
import pytest
from scipy import stats

from photoz_run.science.many_looks import (
    beyond_chance,
    deviant_p,
    excess_scatter,
    sigmas,
    student_p,
)
from photoz_run.validation.findings import suspects
from support.clean_surveys import (
    OFFSET,
    SCATTER,
    error_of_tile,
    findings_of,
    pairs_table,
    tiles_judged,
)


def test_clean_surveys_raise_findings_in_one_of_twenty_at_most():
    """The large version is `python -m bench.alarms`: 1,000 surveys."""
    alarms = 0
    for seed in range(12):
        dice = np.random.default_rng(seed)
        alarms += bool(findings_of(pairs_table(dice, dice.integers(8, 61), 60), seed))
    assert alarms <= 2  # of 12 with a chance of 5% each, more than two come once in fifty times


@pytest.mark.parametrize("tiles", [8, 40])
def test_a_tile_that_is_off_by_three_sigma_is_named(tiles):
    """Sigma is the scatter of the redshifts."""
    for seed in range(2):
        columns = pairs_table(np.random.default_rng(seed), tiles)
        name = columns["KIDS_TILE"][-1]
        bad = columns["KIDS_TILE"] == name
        columns["Z_PHOT"][bad] += 3 * SCATTER * (1 + columns["Z_SPEC"][bad])
        first = findings_of(columns)[0]
        assert (first.kind, first.breakdown, first.label) == ("bias", "tile", name)


def test_a_tile_off_by_three_of_its_own_errors_is_listed():
    """Sigma is the expected error of its median: of its galaxies, and the scatter of tiles.

    The large version is `python -m bench.alarms`.
    """
    hits, others, expected = 0, 0, 0.0
    for seed in range(10):
        columns = pairs_table(np.random.default_rng(seed), 30)
        name = columns["KIDS_TILE"][-1]
        bad = columns["KIDS_TILE"] == name
        columns["Z_PHOT"] += 3 * error_of_tile(columns, name) * bad * (1 + columns["Z_SPEC"])
        listed = suspects(*tiles_judged(columns))
        hits += (name, "bias") in [(tile.label, tile.kind) for tile in listed.tiles]
        others += sum(tile.label != name for tile in listed.tiles)
        expected += listed.expected
    assert hits >= 6  # with a chance of 84% each, fewer come once in two hundred times
    assert expected == pytest.approx(10 * 0.05 * 2 * 30)
    assert others == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_the_scatter_of_tiles_is_found_beyond_their_errors():
    dice = np.random.default_rng(1)
    error_T = dice.uniform(0.001, 0.003, 600)
    value_T = dice.normal(0, np.hypot(error_T, OFFSET))
    assert excess_scatter(value_T, error_T) == pytest.approx(OFFSET, rel=0.15)
    # Some tiles that are far off change little.
    value_T[:30] += 0.1
    assert excess_scatter(value_T, error_T) == pytest.approx(OFFSET, rel=0.35)
    assert excess_scatter(0.3 * error_T * dice.normal(size=600), error_T) == 0
    assert excess_scatter(value_T[:5], error_T[:5]) == 0


def deleted_t(value_T, k):
    """The t of one of several values with equal errors, from its regression on an indicator."""
    rest = np.delete(value_T, k)
    error = np.std(rest, ddof=1) * np.sqrt(1 + 1 / len(rest))
    return (value_T[k] - rest.mean()) / error


def test_a_tile_beside_few_others_has_students_chance():
    value_T = np.random.default_rng(2).normal(0.002, 0.003, 12)
    value_T[5] = 0.02
    p = deviant_p(value_T, np.full(12, 0.001), 2)[5]
    assert p == pytest.approx(2 * stats.t.sf(deleted_t(value_T, 5), 10), rel=1e-6)
    assert deviant_p(value_T, np.full(12, 0.001), 1)[5] == pytest.approx(p / 2)


@pytest.mark.parametrize("tiles", [8, 15, 60])
def test_chances_of_clean_tiles_are_even(tiles):
    """The smallest of T chances is below 0.05 / T in 5% of clean surveys, whatever tiles share."""
    dice = np.random.default_rng(tiles)
    alarms = 0
    for _ in range(1000):
        error_T = 0.015 / np.sqrt(dice.integers(50, 200, tiles))
        value_T = dice.normal(0, np.hypot(error_T, 0.002))
        alarms += np.nanmin(deviant_p(value_T, error_T, 2)) < 0.05 / tiles
    # Leaving the most deviant ones out costs a little.
    assert alarms / 1000 < 0.085


def test_two_deviant_tiles_do_not_hide_each_other():
    value_T = np.random.default_rng(3).normal(0, 0.002, 30)
    value_T[:2] = 0.018
    p = deviant_p(value_T, np.full(30, 0.001), 2)
    assert np.flatnonzero(p < 1e-4).tolist() == [0, 1]


def test_tiles_that_are_too_few_or_unknown():
    assert np.isnan(deviant_p([0.1], [0.01], 2)).all()
    assert np.isnan(deviant_p([np.nan, 0.1, 0.1], [0.01, 0.01, 0], 2)).all()
    # The scatter of two tiles is not known: errors alone count.
    p = deviant_p([0.0, 0.1], [0.02, 0.02], 2)
    assert p == pytest.approx(2 * stats.norm.sf(0.1 / np.hypot(0.02, 0.02)))


def test_holm_by_hand():
    assert beyond_chance([0.01, 0.04, 0.03, 0.005], 0.05).tolist() == [True, False, False, True]
    assert beyond_chance([0.01, np.nan, 0.02], 0.05).tolist() == [True, False, True]
    assert beyond_chance([], 0.05).tolist() == []


def test_chances_are_those_of_student():
    """With a 68% interval of two sigma (84% quantile), many groups give a Gaussian chance."""
    assert student_p(2.0, 0.994458, 10_000, 2) == pytest.approx(0.0455, rel=0.01)
    assert student_p(2.0, 0.994458, 10_000, 1) == pytest.approx(0.0228, rel=0.01)
    assert np.isnan(student_p(1.0, 0.0, 10, 2))
    assert sigmas(0.0455) == pytest.approx(2, abs=0.01)
