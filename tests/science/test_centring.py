"""Where the light of a stamp stands against its centre."""

import numpy as np
import pytest

from photoz_run.science.centring import (
    FEWEST,
    LARGEST_SHIFT,
    is_notable,
    light_shifts,
    median_shift,
)

SIZE = 36


def painted(x_N, y_N, noise=0.0, sigma=1.8):
    """Stamps of galaxies at offsets x, y from where the catalogue says, cut as stamps are."""
    rng = np.random.default_rng(5)
    place = np.arange(SIZE)
    # A source at pixel p has its stamp begin at ceil(p - 18): its place in it is in (17, 18].
    inside_2N = rng.uniform(17, 18, (2, len(x_N)))
    profile_NX = np.exp(-((place - inside_2N[0][:, None] - x_N[:, None]) ** 2) / (2 * sigma**2))
    profile_NY = np.exp(-((place - inside_2N[1][:, None] - y_N[:, None]) ** 2) / (2 * sigma**2))
    stamps = np.einsum("ny,nx->nyx", profile_NY, profile_NX)[:, None]
    return (stamps + noise * rng.standard_normal(stamps.shape)).astype(np.float32)


@pytest.mark.parametrize("shift", [(0, 0), (3, 0), (0, -2.5), (1.5, 1.5), (-4, 2)])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_median_shift_is_the_painted_one(shift, noise):
    n = 100
    found = median_shift(
        light_shifts(painted(np.full(n, shift[0]), np.full(n, shift[1]), noise))[:, 0]
    )
    np.testing.assert_allclose(found, shift, atol=0.15 if noise == 0 else 0.3)


def test_good_positions_are_far_from_the_limit():
    rng = np.random.default_rng(8)
    stamps = painted(rng.normal(0, 0.3, FEWEST), rng.normal(0, 0.3, FEWEST), 0.2)
    found = median_shift(light_shifts(stamps)[:, 0])
    assert np.hypot(*found) < LARGEST_SHIFT / 3


def test_no_light_and_few_sources_give_no_verdict():
    stamps = np.full((FEWEST, 2, SIZE, SIZE), np.nan, np.float32)
    stamps[:, 1] = painted(np.zeros(FEWEST), np.zeros(FEWEST))[:, 0]
    shifts = light_shifts(stamps)
    assert np.isnan(shifts[:, 0]).all()
    assert median_shift(shifts[:, 0]) is None
    assert median_shift(shifts[:, 1]) is not None
    assert median_shift(shifts[1:, 1]) is None


@pytest.mark.parametrize(
    ("shift", "scatter", "number", "notable"),
    [
        (0.1, 0.3, 400, False),
        (0.8, 0.3, 400, True),
        (0.8, 0.15, FEWEST, True),
        (0.8, 2.0, FEWEST, False),
        (1.2, 2.0, 400, True),
    ],
)
def test_a_shift_is_told_if_the_scatter_of_the_sources_does_not_explain_it(
    shift, scatter, number, notable
):
    rng = np.random.default_rng(2)
    for _ in range(20):
        assert is_notable(rng.normal([shift, 0], scatter, (number, 2))) == notable
