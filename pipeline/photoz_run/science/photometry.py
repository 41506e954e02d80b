"""Magnitudes and fluxes: KiDS images are in maggies at zero-point 0, ``m = -2.5 log10(f)``."""

import numpy as np
from numpy.typing import NDArray

MISSING_MAGNITUDE = 90.0
"""Magnitudes of this size are codes: 99 not detected; and so are 0 and less: -99 no data.

That holds after a small correction, too. No galaxy is brighter than 0.
"""
MOST_EXTINCTION = 10.0
"""Extinction (mag) beyond which no galaxy is seen: 99 and the like are codes."""

EFFECTIVE_MICRONS = {
    "u": 0.356, "g": 0.470, "r": 0.618, "i": 0.749, "i1": 0.749, "i2": 0.749,
    "Z": 0.878, "Y": 1.021, "J": 1.254, "H": 1.646, "Ks": 2.149,
}  # fmt: skip
"""Effective wavelength of each band, and of each epoch of i."""


def valid_magnitudes(
    mag_NB: NDArray[np.floating], flag_NB: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Magnitudes with NaN where missing: a code, not finite, or FLAG_GAAP set.

    Parameters
    ----------
    mag_NB, flag_NB
        GAaP magnitudes (mag, AB) and their FLAG_GAAP, of the same shape.
    """
    return np.where(flag_NB == 0, known_magnitudes(mag_NB), np.nan).astype(np.float32)


def known_magnitudes(mag_N: NDArray[np.floating]) -> NDArray[np.floating]:
    """Magnitudes with NaN for codes (99, 0, -1, -99) and what is not finite."""
    with np.errstate(invalid="ignore"):
        known_N = (mag_N > 0) & (mag_N < MISSING_MAGNITUDE)
    return np.where(known_N, mag_N, np.nan)


def total_magnitude(
    mag_auto_N: NDArray[np.floating], dmag: float, extinction_N: NDArray[np.floating]
) -> NDArray[np.float32]:
    """MAG_AUTO_CALIB = MAG_AUTO + DMAG_R - EXTINCTION_r (mag); NaN where one of them is missing."""
    total_N = known_magnitudes(mag_auto_N) + dmag - known_extinction(extinction_N)
    return np.asarray(total_N, np.float32)


def known_extinction(extinction_N: NDArray[np.floating]) -> NDArray[np.floating]:
    """A_x (mag) with NaN where it is missing: not finite, below 0, or a code such as 99."""
    with np.errstate(invalid="ignore"):
        known_N = (extinction_N >= 0) & (extinction_N < MOST_EXTINCTION)
    return np.where(known_N, extinction_N, np.nan)


def mean_magnitude(
    first_N: NDArray[np.floating], second_N: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Magnitude of the mean flux of two epochs; the valid one where the other is NaN."""
    flux_2N = 10.0 ** (-0.4 * np.stack([first_N, second_N]).astype(np.float64))
    count_N = np.isfinite(flux_2N).sum(axis=0)
    total_N = np.nansum(flux_2N, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_N: NDArray[np.float32] = (-2.5 * np.log10(total_N / count_N)).astype(np.float32)
    return mean_N


def calibration(
    dmag: float, extinction_N: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """What pixels are multiplied by to take out a zero-point correction and Galactic extinction.

    A calibrated magnitude is ``-2.5 log10(f) + DMAG - A``, so the factor is
    ``10^(-0.4 (DMAG - A))``.

    Parameters
    ----------
    dmag
        DMAG of the band (mag).
    extinction_N
        A_x of each source (mag), or ``None`` to leave extinction in.

    Returns
    -------
    ndarray
        One factor for each source, NaN where A_x is missing; or one for all, shape (), without
        extinction.
    """
    exponent = np.asarray(dmag if extinction_N is None else dmag - known_extinction(extinction_N))
    return np.asarray(10.0 ** (-0.4 * exponent), np.float32)


def aperture_flux(flux_NHW: NDArray[np.float32], radius: float) -> NDArray[np.float64]:
    """Sum of the pixels whose centres lie within ``radius`` (pixels) of the stamp's centre.

    NaN if one of them is NaN.
    """
    size = flux_NHW.shape[-1]
    offset = np.arange(size) - (size - 1) / 2
    inside_HW = np.hypot(offset[:, None], offset[None, :]) <= radius
    total_N: NDArray[np.float64] = flux_NHW[:, inside_HW].sum(axis=1, dtype=np.float64)
    return total_N
