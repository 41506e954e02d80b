"""The check that the pixels and the catalogue of a tile belong together."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_models.robust import SMAD_FACTOR
from photoz_run.science.zero_point import (
    FAINTEST,
    FAINTEST_OF_FEW,
    FEWEST,
    LEAST_SCATTER,
    aperture_magnitudes,
    deviant_tiles,
    deviations,
    offset,
)


def painted(mag_N, sigma=2.0, size=36):
    grid = np.arange(size) - (size - 1) / 2
    profile = np.exp(-(grid[:, None] ** 2 + grid[None, :] ** 2) / (2 * sigma**2)) / (
        2 * np.pi * sigma**2
    )
    return (10 ** (-0.4 * np.asarray(mag_N))[:, None, None, None] * profile).astype(np.float32)


def test_aperture_magnitudes_are_those_painted_less_the_light_outside():
    mag_N = np.linspace(16, 20, 30)
    lost = -2.5 * np.log10(1 - np.exp(-(5.0**2) / (2 * 2.0**2)))
    magnitude_NC = aperture_magnitudes(painted(mag_N))
    assert magnitude_NC.shape == (30, 1)
    np.testing.assert_allclose(magnitude_NC[:, 0], mag_N + lost, atol=0.02)


def test_negative_flux_is_infinitely_faint_and_an_unusable_pixel_says_nothing():
    stamps = painted([18, 18, 18])
    stamps[0] *= -1
    stamps[1, 0, 18, 18] = np.nan
    magnitude_NC = aperture_magnitudes(stamps)[:, 0]
    assert magnitude_NC[0] == np.inf
    assert np.isnan(magnitude_NC[1])
    assert np.isfinite(magnitude_NC[2])


def test_bands_are_measured_apart():
    stamps = np.concatenate([painted([18.0]), painted([20.0])], axis=1)
    magnitude_NC = aperture_magnitudes(stamps)[0]
    assert magnitude_NC[1] - magnitude_NC[0] == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("shift", [-2.0, 0.0, 0.3, 30.0])
def test_offset_is_the_median_shift_whatever_a_third_of_the_sources_do(shift):
    rng = np.random.default_rng(5)
    mag_N = rng.uniform(16, 20, 60)
    stamp_N = mag_N + shift + rng.normal(0, 0.02, 60)
    stamp_N[::3] = np.where(np.arange(20) % 2, np.inf, np.nan)
    stamp_N[1::6] -= 5
    assert offset(stamp_N, mag_N.astype(np.float32))[0] == pytest.approx(shift, abs=0.05)


def test_faint_missing_and_few_sources_give_no_verdict():
    mag_N = np.full(FEWEST, 19.0)
    assert offset(mag_N, mag_N) == (0.0, 0.0)
    assert offset(mag_N[1:], mag_N[1:]) is None
    assert offset(mag_N, np.full(FEWEST, FAINTEST_OF_FEW + 0.1)) is None
    assert offset(mag_N, np.full(FEWEST, np.nan)) is None
    assert offset(np.full(FEWEST, np.nan), mag_N) is None


def test_few_bright_sources_are_judged_with_fainter_ones():
    mag_N = np.concatenate([np.full(FEWEST - 1, FAINTEST - 1), np.full(FEWEST, FAINTEST + 1)])
    assert offset(mag_N + 0.2, mag_N)[0] == pytest.approx(0.2)
    many_N = np.concatenate([np.full(FEWEST, FAINTEST - 1), np.full(99, FAINTEST + 1)])
    stamp_N = many_N + np.where(many_N > FAINTEST, 5.0, 0.1)
    assert offset(stamp_N, many_N)[0] == pytest.approx(0.1)


def outcome(zero_points, errors=None):
    return SimpleNamespace(zero_points=zero_points, zero_point_errors=errors or {})


def test_a_tile_that_stands_out_among_the_others_is_named():
    rng = np.random.default_rng(4)
    outcomes = {f"T{k}": outcome({"u": rng.normal(0.3, 0.02), "r": 0.2}) for k in range(12)}
    assert deviant_tiles(outcomes) == []
    outcomes["T3"].zero_points["r"] -= 0.285
    (only,) = deviant_tiles(outcomes)
    assert only == ("T3", "r", -14.2)
    assert deviant_tiles(dict(list(outcomes.items())[2:6])) == []
    assert deviations({"a": 0.0, "b": 1.0}) == {}


@pytest.mark.parametrize("tiles", [5, 7, 12, 40])
@pytest.mark.parametrize("unlike", [1, 3])
def test_chance_alone_makes_hardly_a_tile_stand_out_however_few_there_are(tiles, unlike):
    rng = np.random.default_rng(tiles)
    alarms = 0
    for _ in range(2_000):
        error_T = rng.uniform(0.1 / unlike, 0.1, tiles)
        offset_T = rng.normal(0.2, error_T)
        both = zip(offset_T, error_T, strict=True)
        outcomes = {
            f"T{k}": outcome({"u": off}, {"u": error}) for k, (off, error) in enumerate(both)
        }
        alarms += bool(deviant_tiles(outcomes))
    # One run in a thousand: more than seven of 2,000 would be luck of one in a thousand.
    assert alarms <= 7


@pytest.mark.parametrize("tiles", [6, 12, 100])
def test_a_coadd_a_quarter_too_bright_stands_out_even_among_few_tiles(tiles):
    offset_T = np.random.default_rng(1).normal(0.2, 0.015, tiles)
    offset_T[3] -= 0.285
    outcomes = {f"T{k}": outcome({"r": off}, {"r": 0.015}) for k, off in enumerate(offset_T)}
    ((tile, band, _),) = deviant_tiles(outcomes)
    assert (tile, band) == ("T3", "r")


def test_the_error_of_an_offset_is_how_far_it_comes_out_elsewhere():
    rng = np.random.default_rng(6)
    mag_N = rng.uniform(16, 20, 80)
    many_K2 = np.array([offset(mag_N + rng.normal(0.3, 0.2, 80), mag_N) for _ in range(400)])
    assert np.median(many_K2[:, 1]) == pytest.approx(many_K2[:, 0].std(), rel=0.15)
    assert offset(np.full(80, np.inf), mag_N) == (np.inf, 0.0)


@given(
    st.lists(st.integers(-30, 30), min_size=5, max_size=40),
    st.sampled_from([1.0, 0.01]),
    st.sampled_from([0.0, 0.05]),
)
def test_each_tile_is_compared_with_the_others_alone(steps, unit, error):
    offsets = {f"T{k}": step * unit for k, step in enumerate(steps)}
    expected = {}
    for tile, own in offsets.items():
        others = np.array([value for name, value in offsets.items() if name != tile])
        scatter = SMAD_FACTOR * np.median(np.abs(others - np.median(others)))
        least = np.sqrt(LEAST_SCATTER**2 + error**2)
        expected[tile] = (own - np.median(others)) / max(least, scatter)
    assert deviations(offsets, dict.fromkeys(offsets, error)) == pytest.approx(expected)
