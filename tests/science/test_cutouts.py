"""Stamps are the pixels of astropy's ``Cutout2D(mode="partial")``, at every position and edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from photoz_run.science.cutouts import cut_stamps, stamp_start
from support.tiles import cutout

IMAGE_YX = np.random.default_rng(3).normal(size=(61, 47)).astype(np.float32)

positions = st.one_of(
    st.floats(-80, 140, allow_nan=False),
    st.integers(-40, 140).map(lambda k: k / 2),
    st.sampled_from([-0.5, 0.0, 46.0, 46.5, 47.0, 60.0, 60.5, 61.0, -18.0, -18.5, 78.5, 79.0]),
)
sizes = st.sampled_from([2, 4, 36, 50])


@given(x=positions, y=positions, size=sizes)
def test_a_stamp_is_the_partial_cutout_of_astropy(x, y, size):
    expected = cutout(IMAGE_YX, (x, y), size)
    start_y, start_x = stamp_start(np.array([y]), size), stamp_start(np.array([x]), size)
    values, covered = cut_stamps(IMAGE_YX, start_y, start_x, size)
    np.testing.assert_array_equal(covered[0], np.isfinite(expected))
    np.testing.assert_array_equal(
        np.where(covered[0], values[0], np.nan), expected.astype(np.float32)
    )


@given(rows=arrays(np.float64, (7, 2), elements=st.floats(-100, 150, allow_nan=False)))
def test_a_stamp_does_not_depend_on_the_others(rows):
    y0_N, x0_N = stamp_start(rows[:, 0], 10), stamp_start(rows[:, 1], 10)
    together, covered = cut_stamps(IMAGE_YX, y0_N, x0_N, 10)
    for n in range(len(rows)):
        alone, covered_alone = cut_stamps(IMAGE_YX, y0_N[n : n + 1], x0_N[n : n + 1], 10)
        np.testing.assert_array_equal(alone[0], together[n])
        np.testing.assert_array_equal(covered_alone[0], covered[n])


@pytest.mark.parametrize("dtype", [">f4", "<f4", ">f8", ">i2", ">i4", "u1"])
def test_bytes_of_any_order_and_kind_come_out_native_with_their_values(dtype):
    image = (IMAGE_YX * 30 + 100).astype(dtype)
    values, _ = cut_stamps(image, np.array([3, -5]), np.array([4, 40]), 12)
    assert values.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(values[0], image[3:15, 4:16])
    np.testing.assert_array_equal(values[1, 5:, :7], image[:7, 40:])


@pytest.mark.parametrize(
    ("x", "first"),
    [(10.0, 0), (10.0 + 1e-9, 1), (9.999, 0), (10.5, 1), (11.0, 1), (9.0, -1), (0.0, -10)],
)
def test_the_first_pixel_is_the_ceiling_of_x_less_half_the_size(x, first):
    assert stamp_start(np.array([x]), 20)[0] == first


def test_a_source_on_the_centre_of_a_pixel_has_that_pixel_right_of_the_middle():
    image = np.zeros((40, 40))
    image[20, 17] = 1
    start = stamp_start(np.array([20.0, 17.0]), 8)
    values, _ = cut_stamps(image, start[:1], start[1:], 8)
    assert values[0, 4, 4] == 1
    assert values.sum() == 1


def test_an_image_smaller_than_the_stamp_is_wholly_inside_it():
    values, covered = cut_stamps(np.ones((3, 5)), np.array([-2]), np.array([-1]), 12)
    assert values.sum() == covered.sum() == 15
    assert covered[0, 2:5, 1:6].all()


def test_no_source_gives_no_stamp():
    values, covered = cut_stamps(IMAGE_YX, np.zeros(0, int), np.zeros(0, int), 36)
    assert values.shape == covered.shape == (0, 36, 36)


def test_outside_the_image_is_zero_and_uncovered():
    values, covered = cut_stamps(IMAGE_YX, np.array([500, -500]), np.array([0, 0]), 36)
    assert not values.any()
    assert not covered.any()


@given(x=positions, size=sizes)
def test_the_second_rule_starts_one_pixel_lower_but_at_whole_pixels(x, size):
    first, second = (
        stamp_start(np.array([x]), size, rule)[0]
        for rule in ("ceil(x - size/2)", "floor(x - size/2)")
    )
    whole = float(x - size / 2).is_integer()
    assert first - second == (0 if whole else 1)
