"""Colour images are those of astropy's `make_lupton_rgb`."""

import numpy as np
from astropy.visualization import make_lupton_rgb

from photoz_run.science.colour import SOFTENING, STRETCH, WEIGHTS, colour_image


def test_a_galaxy_on_its_sky_looks_as_astropy_draws_it():
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-20:20, -20:20]
    light = np.exp(-np.hypot(x, y) / 4)[None] * np.array([9e-10, 6e-10, 2e-10])[:, None, None]
    irg_3HW = (light + rng.normal(0, 6e-12, (3, 40, 40))).astype(np.float32)
    irg_3HW[1, 5, 5] = np.nan
    weighted = [w * np.nan_to_num(image) for w, image in zip(WEIGHTS, irg_3HW, strict=True)]
    expected = make_lupton_rgb(*weighted, stretch=STRETCH, Q=SOFTENING)
    assert np.abs(colour_image(irg_3HW).astype(int) - expected.astype(int)).max() <= 1
    assert len(np.unique(expected)) > 100


def test_no_light_is_black():
    assert (colour_image(np.full((3, 4, 4), np.nan)) == 0).all()
    assert (colour_image(np.zeros((3, 4, 4))) == 0).all()
