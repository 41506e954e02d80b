"""Draws belong to the object: no order, neighbour or other draw can change them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.simulation.dice import Dice, keys
from photoz_run.simulation.rows import take


@given(st.integers(0, 2**31), st.integers(0, 200), st.integers(0, 200))
def test_an_object_has_the_same_draw_among_any_others(seed, start, count):
    dice = Dice(keys([seed, 7], 400))
    alone = take(dice, slice(start, start + count)).normal("anything")
    np.testing.assert_array_equal(alone, dice.normal("anything")[start : start + count])


@given(st.integers(0, 2**31))
def test_draws_of_other_names_and_seeds_are_independent(seed):
    dice = Dice(keys([seed], 2000))
    a, b, other = dice.uniform("a"), dice.uniform("b"), Dice(keys([seed + 1], 2000)).uniform("a")
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.12
    assert abs(np.corrcoef(a, other)[0, 1]) < 0.12
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.12


def test_distributions():
    dice = Dice(keys([1], 100_000))
    uniform, normal, beta = dice.uniform("u"), dice.normal("n"), dice.beta("b", 3.0, 1.3)
    assert uniform.min() > 0
    assert uniform.max() < 1
    np.testing.assert_allclose(np.histogram(uniform, bins=10, range=(0, 1))[0] / 1e4, 1, atol=0.05)
    np.testing.assert_allclose(
        [normal.mean(), normal.std(), (normal**4).mean()], [0, 1, 3], atol=0.06
    )
    np.testing.assert_allclose(beta.mean(), 3 / 4.3, atol=0.005)
    np.testing.assert_allclose(beta.var(), 3 * 1.3 / (4.3**2 * 5.3), rtol=0.03)


def test_parts_of_an_object_differ():
    parts = Dice(keys([5], 100)).many("clump", 32)
    assert len(np.unique(parts.key_N)) == 3200
