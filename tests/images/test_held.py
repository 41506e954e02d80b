"""Images of which only some bytes are here: what was fetched is read, a hole never."""

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from photoz_run.errors import BadDataError
from photoz_run.images.held import HeldImage, pieces, read_held, write_held
from photoz_run.images.opening import open_image
from photoz_run.images.plan import Storage

SIZE = 36
WIDTH, HEIGHT = 700, 900


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("held") / "whole.fits"
    pixels = np.random.default_rng(1).normal(size=(HEIGHT, WIDTH)).astype(np.float32)
    fits.PrimaryHDU(pixels).writeto(path)
    return path


def with_holes(whole, ranges):
    """A copy in which only these ranges are no holes."""
    content = whole.read_bytes()
    path = whole.with_name("some.fits")
    with path.open("wb") as file:
        file.truncate(len(content))
        for start, stop in ranges:
            file.seek(start)
            file.write(content[start:stop])
    write_held(path, ranges)
    return path


def corners_of(places):
    return np.array([y for y, _ in places]), np.array([x for _, x in places])


place = st.tuples(st.integers(-SIZE, HEIGHT), st.integers(-SIZE, WIDTH))


@settings(max_examples=30, deadline=None)
@given(places=st.lists(place, min_size=1, max_size=5), gap=st.integers(0, 40))
def test_what_stamps_need_is_enough_for_them(whole, places, gap):
    """Wherever they lie, off the edges too; with holes joined or not."""
    image = open_image(whole)
    corners = corners_of(places)
    storage = Storage(seek=gap * 4096.0, stream=1.0)
    ranges = pieces(image.layout, corners, SIZE, storage)
    assert sorted(ranges) == list(ranges)
    some = open_image(with_holes(whole, ranges))
    assert isinstance(some, HeldImage)
    for ours, theirs in zip(some.stamps(corners, SIZE), image.stamps(corners, SIZE), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(some.sample, image.sample)
    some.close()
    image.close()


def test_other_pixels_are_refused(whole):
    image = open_image(whole)
    ranges = pieces(image.layout, corners_of([(100, 100)]), SIZE, Storage(seek=0.0))
    path = with_holes(whole, ranges)
    assert read_held(path) == ranges
    some = open_image(path)
    with pytest.raises(BadDataError, match="pixels are asked for that were not fetched"):
        some.stamps(corners_of([(500, 300)]), SIZE)
    with pytest.raises(BadDataError, match="pixels are asked for that were not fetched"):
        some.rows(300, 301)
    some.close()
    image.close()
