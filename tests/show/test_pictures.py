"""Pictures show the pixels of the coadds, and mark those that the network does not see."""

import numpy as np
import pytest

from photoz_run.show.pictures import MARK, OFF, SIZE, cut_pictures
from photoz_run.survey.coadds import PixelPolicy
from photoz_run.survey.discovery import find_tiles
from support.tiles import OPTICAL, reference_stamps

POLICY = PixelPolicy(71, True, "quarantine", "quarantine")


@pytest.fixture(scope="module")
def pictures(dr5_tile):
    ref = find_tiles([dr5_tile.folder])[dr5_tile.name]
    return cut_pictures(ref, dr5_tile.ra_N, dr5_tile.dec_N, POLICY)


def test_unusable_pixels_are_those_that_the_network_does_not_get(pictures, dr5_tile):
    seen = reference_stamps(dr5_tile, OPTICAL, size=SIZE, calibrated=False)
    whole = reference_stamps(dr5_tile, OPTICAL, size=SIZE, bits=0, weights=False, calibrated=False)
    marked = 0
    for n, picture in enumerate(pictures):
        missing = np.isnan(whole[n]) & ~picture.covered_CHW
        np.testing.assert_array_equal(picture.unusable_CHW, np.isnan(seen[n]) & picture.covered_CHW)
        good = picture.covered_CHW & np.isfinite(whole[n])
        np.testing.assert_allclose(picture.flux_CHW[good], whole[n][good], rtol=1e-6)
        assert missing.sum() == (~picture.covered_CHW).sum()
        marked += picture.unusable_CHW.sum()
    assert marked > 100


def test_marks_and_the_edge_are_in_the_images(pictures):
    for picture in pictures:
        for c in range(4):
            image = picture.grey(c, SIZE)
            assert image.shape == (SIZE, SIZE, 3)
            off = ~picture.covered_CHW[c][::-1]
            assert (image[off] == OFF).all()
            marked = picture.unusable_CHW[c][::-1]
            grey = image[~off & ~marked].astype(int)
            assert (grey == grey[:, :1]).all()
            assert (image[marked].astype(int)[:, 0] > image[marked].astype(int)[:, 2]).all()
    assert MARK[0] > MARK[2]


def test_light_is_dark_and_the_source_is_in_the_middle(pictures, dr5_tile):
    brightest = np.argsort(dr5_tile.magnitudes["r"])[:10]
    for n in brightest:
        picture = pictures[n]
        assert np.abs(picture.offset_C2).max() <= 0.5 + 1e-6
        if picture.unusable_CHW.any() or not picture.covered_CHW.all():
            continue
        image = picture.grey(2, 36).astype(float)[:, :, 0]
        middle = image[15:21, 15:21].mean()
        assert middle < np.median(image) - 80
        colour = picture.colour().astype(float).sum(axis=2)
        y, x = np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2
        window = colour * (np.hypot(x, y) < 8)
        assert abs((window * x).sum() / window.sum()) < 0.5
        assert abs((window * y).sum() / window.sum()) < 0.5


def test_a_coadd_that_cannot_be_read_is_told(dr5_tile, tmp_path):
    ref = find_tiles([dr5_tile.folder])[dr5_tile.name]
    bad = tmp_path / "bad.fits"
    bad.write_bytes(b"nothing")
    files = type(ref.images["r"])(bad)
    broken = type(ref)(ref.tile, ref.data_release, ref.catalogue, {**ref.images, "r": files})
    words = cut_pictures(broken, dr5_tile.ra_N[:1], dr5_tile.dec_N[:1], POLICY)
    assert isinstance(words, str)
    assert "bad.fits" in words
