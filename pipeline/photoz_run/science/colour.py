"""Colour images of stamps: Lupton et al. (2004, PASP 116, 133)."""

import numpy as np
from numpy.typing import NDArray

STRETCH, SOFTENING = 4e-11, 8.0
"""Lupton's stretch (maggies per pixel) and softening.

With these the outskirts of a galaxy of r = 20 stay visible.
"""
SLOPE = 0.1 / np.arcsinh(0.1 * SOFTENING)
"""A tenth of the brightest light is shown at a tenth of the scale, as astropy does."""
WEIGHTS = (0.8, 1.0, 1.8)
"""Of i, r and g. A galaxy is brighter in i: without weights all of them would be red."""


def colour_image(irg_3HW: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Red, green and blue [H, W, 3] of stamps in i, r and g (maggies); NaN is no light.

    Colours do not depend on brightness: all three are scaled by asinh(Q I / stretch) / I of their
    mean I, and where one would exceed white, by the brightest of them.
    """
    weighted_3HW = np.nan_to_num(irg_3HW.astype(np.float64)) * np.array(WEIGHTS)[:, None, None]
    intensity_HW = weighted_3HW.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        stretched_HW = SLOPE * np.arcsinh(SOFTENING * intensity_HW / STRETCH)
        scale_HW = np.where(intensity_HW > 0, stretched_HW / intensity_HW, 0.0)
    rgb_3HW = np.maximum(weighted_3HW * scale_HW, 0.0)
    rgb_3HW /= np.maximum(rgb_3HW.max(axis=0), 1.0)
    return np.asarray(255 * np.moveaxis(rgb_3HW, 0, -1), np.uint8)
