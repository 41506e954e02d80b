"""BLANK of whole numbers is compared with the stored number, bit by bit (astropy: not always)."""

import subprocess

import numpy as np
import pytest
from astropy.io import fits

from photoz_run.images.opening import open_image
from support.programs import needs


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("blank", [-32768, 7])
def test_a_blank_unsigned_number_is_undefined(tmp_path, packed, blank):
    """FITS standard 4.0, 4.4.2.5: BLANK is compared with the stored number, before BZERO."""
    stored_YX = np.arange(-5, 195, dtype=np.int16).reshape(10, 20)
    stored_YX[3, 4] = blank
    path = tmp_path / "image.fits"
    hdu = fits.PrimaryHDU(stored_YX)
    hdu.header["BZERO"], hdu.header["BSCALE"], hdu.header["BLANK"] = 32768, 1, blank
    hdu.writeto(path)
    if packed:
        needs("fpack")
        subprocess.run(["fpack", "-D", str(path)], check=True, capture_output=True)
        path = path.with_name("image.fits.fz")
    image = open_image(path)
    values_YX = image.rows(0, 10)
    image.close()
    expected_YX = np.where(stored_YX == blank, np.nan, stored_YX + 32768.0)
    np.testing.assert_array_equal(values_YX, expected_YX)


@pytest.mark.parametrize("blank", [-(2**53) - 5, -(2**63) + 1, 2**62 + 3])
def test_every_digit_of_a_blank_number_counts(tmp_path, blank):
    """A floating-point number cannot hold them: its neighbours would be blank in its place."""
    stored_YX = np.arange(200, dtype=np.int64).reshape(10, 20)
    stored_YX[3, 4:6] = blank, blank + 1
    hdu = fits.PrimaryHDU(stored_YX)
    hdu.header["BLANK"] = blank
    hdu.writeto(tmp_path / "image.fits")
    image = open_image(tmp_path / "image.fits")
    undefined_YX = np.isnan(image.rows(0, 10))
    image.close()
    np.testing.assert_array_equal(np.argwhere(undefined_YX), [[3, 4]])
