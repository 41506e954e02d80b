"""CHECKSUM and DATASUM: a changed header is said, changed rows of a catalogue are refused."""

import subprocess

import fitsio
import numpy as np
import pytest
from astropy.io import fits

from photoz_run.checksum import add_words
from photoz_run.images.opening import open_image
from support.programs import needs


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "image.fits"
    pixels_YX = np.random.default_rng(1).normal(size=(40, 50)).astype(np.float32)
    fits.PrimaryHDU(pixels_YX, fits.Header({"DMAG": 0.1})).writeto(path, checksum=True)
    return path


def differs(path):
    image = open_image(path)
    image.close()
    return image.header_differs


def test_the_sum_is_that_of_the_standard(path):
    content = path.read_bytes()
    assert add_words(content) in (0, 0xFFFFFFFF)
    half = len(content) // 8 * 4
    assert add_words(content[half:], add_words(content[:half])) == add_words(content)


@pytest.mark.parametrize("packed", [False, True])
def test_a_header_changed_behind_its_sum_is_noticed_and_a_good_one_is_not(path, packed):
    if packed:
        needs("fpack")
        subprocess.run(["fpack", "-g", "-q", "0", "-D", str(path)], check=True)
        path = path.with_name("image.fits.fz")
    assert not differs(path)
    content = path.read_bytes()
    # The value stands in the columns 11 to 30 of its card.
    at = content.index(b"DMAG    =")
    path.write_bytes(content[: at + 27] + b"0.2" + content[at + 30 :])
    assert differs(path)


def test_a_file_without_sums_or_changed_by_astropy_is_not_suspected(path):
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["DMAG"] = 0.2
    assert not differs(path)
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(path, overwrite=True)
    assert not differs(path)


def test_fitsio_leaves_the_old_sum(path):
    with fitsio.FITS(str(path), "rw") as hdus:
        hdus[0].write_key("DMAG", 0.2)
    assert differs(path)
