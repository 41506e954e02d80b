"""Magnitudes, fluxes and their corrections, each against the formula of the survey written out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoz_run.science.photometry import (
    aperture_flux,
    calibration,
    mean_magnitude,
    total_magnitude,
    valid_magnitudes,
)

mags = st.floats(10, 28)


@pytest.mark.parametrize(
    ("mag", "flag", "kept"),
    [
        (19.5, 0, True),
        (19.5, 1, False),
        (19.5, -1, False),
        (99.0, 0, False),
        (-99.0, 1, False),
        (-99.0, 0, False),
        (98.93, 0, False),
        (0.0, 0, False),
        (-0.07, 0, False),
        (-1.0, 0, False),
        (np.nan, 0, False),
        (np.inf, 0, False),
        (-np.inf, 0, False),
        (28.9, 0, True),
    ],
)
def test_codes_flags_and_nan_are_missing_and_nothing_else(mag, flag, kept):
    value = valid_magnitudes(np.array([[mag]]), np.array([[flag]]))
    assert value.dtype == np.float32
    assert value[0, 0] == np.float32(mag) if kept else math.isnan(value[0, 0])


def test_magnitudes_of_one_band_do_not_touch_another():
    value = valid_magnitudes(np.array([[18.0, 99.0], [99.0, 17.0]]), np.zeros((2, 2), int))
    np.testing.assert_array_equal(np.isnan(value), [[False, True], [True, False]])


@given(mag=mags, dmag=st.floats(-0.3, 0.3), extinction=st.floats(0, 0.5))
def test_total_magnitude_adds_dmag_and_takes_extinction_off(mag, dmag, extinction):
    value = total_magnitude(np.array([mag]), dmag, np.array([extinction]))[0]
    assert value == pytest.approx(mag + dmag - extinction, abs=1e-5)


@pytest.mark.parametrize("code", [99.0, -99.0, 0.0, -1.0, np.nan, np.inf])
def test_total_magnitude_of_a_code_is_missing(code):
    assert math.isnan(total_magnitude(np.array([code]), 0.1, np.array([0.1]))[0])


@pytest.mark.parametrize("code", [99.0, -99.0, -1.0, np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("error")
def test_no_number_comes_of_an_extinction_that_is_missing(code):
    extinction = np.array([0.1, code], np.float32)
    assert np.isnan(total_magnitude(np.full(2, 19.0), 0.1, extinction)).tolist() == [False, True]
    assert np.isnan(calibration(0.1, extinction)).tolist() == [False, True]


@given(first=mags, second=mags)
def test_mean_magnitude_is_that_of_the_mean_flux(first, second):
    flux = (10 ** (-0.4 * np.float32(first)) + 10 ** (-0.4 * np.float32(second))) / 2
    value = mean_magnitude(np.array([first], np.float32), np.array([second], np.float32))[0]
    assert value == pytest.approx(-2.5 * math.log10(flux), abs=2e-5)


def test_mean_magnitude_takes_the_epoch_that_is_there():
    nan = np.nan
    value = mean_magnitude(np.array([18.0, nan, nan]), np.array([nan, 19.0, nan]))
    np.testing.assert_allclose(value, [18.0, 19.0, nan], rtol=1e-6)


@given(mag=mags, dmag=st.floats(-0.2, 0.2), extinction=st.floats(0, 0.5))
def test_a_calibrated_pixel_has_the_calibrated_magnitude(mag, dmag, extinction):
    value = 10 ** (-0.4 * mag) * calibration(dmag, np.array([extinction]))[0]
    assert -2.5 * math.log10(value) == pytest.approx(mag + dmag - extinction, abs=1e-5)


def test_without_extinction_and_dmag_nothing_changes():
    assert calibration(0.0) == 1


def test_each_source_has_its_own_extinction():
    np.testing.assert_allclose(calibration(0.0, np.array([0.0, 2.5])), [1, 10], rtol=1e-6)


def test_aperture_flux_of_a_gaussian_is_the_closed_integral():
    sigma, radius = 3.0, 8.0
    offset = np.arange(36) - 17.5
    stamp = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2 * sigma**2)) / (
        2 * np.pi * sigma**2
    )
    value = aperture_flux(stamp[None].astype(np.float32), radius)[0]
    assert value == pytest.approx(1 - math.exp(-(radius**2) / (2 * sigma**2)), abs=0.01)


def test_aperture_flux_with_an_unusable_pixel_is_nan_only_if_it_lies_inside():
    stamps = np.ones((2, 36, 36), np.float32)
    stamps[0, 18, 18] = stamps[1, 0, 0] = np.nan
    inside, outside = aperture_flux(stamps, 5.0)
    assert math.isnan(inside)
    assert outside == pytest.approx(math.pi * 25, rel=0.05)
