"""Does the light stand where the catalogue says? Positions are checked against the pixels.

A WCS that is some pixels off, or a catalogue whose positions are, gives stamps in which the
galaxies stand beside the centre. Their magnitudes change little by that, their redshifts do.
"""

import numpy as np
from numpy.typing import NDArray

from photoz_models.robust import SMAD_FACTOR

WINDOW = 2.5
"""Pixels: sigma of the Gaussian window of the centroid, of the order of the seeing."""

HALF = 12
"""Pixels on each side of the centre that are looked at."""

ITERATIONS = 5
"""The window follows the light: a shift of 3 pixels is found to 0.1."""

SAMPLE = 400
"""Sources of a tile whose light is looked at; a band's grid allows no better median."""

FEWEST = 20
"""Sources needed for a verdict."""

LARGEST_SHIFT = 1.5
"""Pixels, 0.3 arcsec. A good tile has below 0.2; half a pixel is the rounding of a stamp."""

NOTABLE_SHIFT, NOTABLE_SIGMA = 0.5, 5.0
"""Pixels, and errors of the median, beyond which a shift is worth a word."""


def light_shifts(flux_NCHW: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far the light of each stamp lies from the stamp's centre, x and y in pixels [N, C, 2].

    The windowed centroid of SExtractor (XWIN_IMAGE): a Gaussian window is moved by twice the
    first moment within it, some times over. Pixels that cannot be used count as zero; NaN where
    there is no light.
    """
    middle = flux_NCHW.shape[-1] // 2
    half = min(HALF, middle)
    window = slice(middle - half, middle + half)
    light_NCHW = np.nan_to_num(flux_NCHW[:, :, window, window].astype(np.float64))
    # Stamps start at ceil(x - size / 2): on average the source is half a pixel before the middle.
    place = np.arange(2 * half) - (half - 0.5)
    centre_NC2 = np.zeros((*flux_NCHW.shape[:2], 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(ITERATIONS):
            offset_NC2P = place - centre_NC2[..., None]
            weight_NC2P = np.exp(-0.5 * (offset_NC2P / WINDOW) ** 2)
            x, y = weight_NC2P[:, :, 0], weight_NC2P[:, :, 1]
            total = np.einsum("ncyx,ncy,ncx->nc", light_NCHW, y, x)
            first_x = np.einsum("ncyx,ncy,ncx->nc", light_NCHW, y, x * offset_NC2P[:, :, 0])
            first_y = np.einsum("ncyx,ncy,ncx->nc", light_NCHW, y * offset_NC2P[:, :, 1], x)
            moved = (
                np.stack([first_x, first_y], axis=-1)
                / np.where(total > 0, total, np.nan)[..., None]
            )
            centre_NC2 = np.clip(centre_NC2 + 2 * moved, -half, half)
    return centre_NC2


def median_shift(shift_N2: NDArray[np.float64]) -> tuple[float, float] | None:
    """Median of x and of y over the sources with light; ``None`` below `FEWEST` sources."""
    known_N2 = _with_light(shift_N2)
    if len(known_N2) < FEWEST:
        return None
    x, y = np.median(known_N2, axis=0)
    return float(x), float(y)


def is_notable(shift_N2: NDArray[np.float64]) -> bool:
    """Whether the median shift is large, and larger than the scatter of the sources explains."""
    known_N2 = _with_light(shift_N2)
    median_2 = np.median(known_N2, axis=0)
    scatter_2 = SMAD_FACTOR * np.median(np.abs(known_N2 - median_2), axis=0)
    # The median of N normal numbers has an error of sqrt(pi / 2N) times their scatter.
    error = np.hypot(*scatter_2) * np.sqrt(np.pi / (2 * len(known_N2)))
    return bool(np.hypot(*median_2) > max(NOTABLE_SHIFT, NOTABLE_SIGMA * error))


def _with_light(shift_N2: NDArray[np.float64]) -> NDArray[np.float64]:
    return shift_N2[np.isfinite(shift_N2).all(axis=-1)]
