"""Do the pixels and the catalogue of a tile belong together? Fluxes are compared with magnitudes.

A coadd scaled to another zero-point, a WCS that is off, or the catalogue of another field gives
redshifts that look right. Each of them shifts the flux at the sources' positions against their
magnitudes by a magnitude or more.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from photoz_models.robust import SMAD_FACTOR
from photoz_run.science.photometry import aperture_flux

APERTURE_RADIUS = 5.0
"""Pixels: 1 arcsec, of the order of the GAaP apertures."""

FAINTEST = 21.0
"""Fainter sources say little: sky noise and neighbours enter the aperture."""

FAINTEST_OF_FEW = 23.0
"""Where fewer than `FEWEST` are brighter, as in u, sources down to this are taken."""

FEWEST = 20
"""Sources needed for a verdict."""

LARGEST_OFFSET = 1.0
"""Magnitudes. In the median, aperture and GAaP magnitudes of galaxies differ by a few tenths."""

FEWEST_TILES = 5
"""Tiles needed to say what is usual."""

LEAST_SCATTER = 0.01
"""Magnitudes: the median of a tile is not known better, however alike the tiles are."""

FALSE_ALARMS = 1e-3
"""Share of runs in which chance alone makes a tile stand out in a band."""

FREEDOM = 0.37
"""Degrees of freedom that a MAD has for each one of a standard deviation: its efficiency for
Gaussian values (Hampel 1974, JASA 69, 383)."""


def aperture_magnitudes(flux_NCHW: NDArray[np.float32]) -> NDArray[np.float64]:
    """Magnitudes [N, C] within `APERTURE_RADIUS` of the stamps' centres.

    NaN where a pixel of the aperture cannot be used; `inf` where the flux is not positive.
    """
    flux_NC = np.empty(flux_NCHW.shape[:2])
    for c in range(flux_NCHW.shape[1]):
        flux_NC[:, c] = aperture_flux(flux_NCHW[:, c], APERTURE_RADIUS)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(flux_NC <= 0, np.inf, -2.5 * np.log10(flux_NC))


def offset(stamp_mag_N: NDArray[np.float64], catalogue_mag_N: NDArray[np.floating]) -> float | None:
    """Median of stamp minus catalogue magnitude of bright sources; ``None`` with too few."""
    for faintest in (FAINTEST, FAINTEST_OF_FEW):
        with np.errstate(invalid="ignore"):
            usable_N = (catalogue_mag_N < faintest) & ~np.isnan(stamp_mag_N)
        if usable_N.sum() >= FEWEST:
            return float(np.median(stamp_mag_N[usable_N] - catalogue_mag_N[usable_N]))
    return None


def deviations(offsets: Mapping[str, float]) -> dict[str, float]:
    """How many sigma the offset of each tile is from those of the other tiles, signed.

    Parameters
    ----------
    offsets
        Tile -> offset of stamp and catalogue magnitudes in one band (mag).

    Returns
    -------
    dict
        Tile -> (offset - median of the others) / (scaled MAD of the others, at least
        `LEAST_SCATTER`); empty with fewer than `FEWEST_TILES` tiles.
    """
    if len(offsets) < FEWEST_TILES:
        return {}
    offset_T = np.array(list(offsets.values()))
    middle_T = _medians_of_others(offset_T)
    mad_T = np.empty_like(middle_T)
    for middle in np.unique(middle_T):  # whichever is left out, there are three at most
        same_T = middle_T == middle
        mad_T[same_T] = _medians_of_others(np.abs(offset_T - middle))[same_T]
    scatter_T = np.maximum(LEAST_SCATTER, SMAD_FACTOR * mad_T)
    return dict(zip(offsets, ((offset_T - middle_T) / scatter_T).tolist(), strict=True))


def _medians_of_others(values_T: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of all values but one, for each that is left out [T]; one sort serves all."""
    order_T = np.argsort(values_T)
    rank_T = np.argsort(order_T)
    sorted_T = values_T[order_T]
    low, high = (len(values_T) - 2) // 2, (len(values_T) - 1) // 2
    # Without the one of rank r, what stood behind it moves up by a place.
    lower_T, upper_T = (sorted_T[place + (rank_T <= place)] for place in (low, high))
    middle_T: NDArray[np.float64] = (lower_T + upper_T) / 2
    return middle_T


def largest_deviation(tiles: int) -> float:
    """Sigma beyond which one of so many tiles stands out: chance does that in `FALSE_ALARMS` runs.

    The quantile of Student's distribution: the scatter of few tiles is not well known. It is 5 for
    a survey of 1,300 tiles, and 16 for 12 tiles.
    """
    from scipy.special import stdtrit  # takes longer to import than a small run to look at

    return -float(stdtrit(FREEDOM * (tiles - 1), FALSE_ALARMS / tiles / 2))


def deviant_tiles(zero_points: Mapping[str, Mapping[str, float]]) -> list[tuple[str, str, float]]:
    """Tile, band and sigma of offsets that stand out by `largest_deviation`.

    Parameters
    ----------
    zero_points
        Tile -> band -> offset (mag), as tile outcomes record it.
    """
    bands = sorted({band for offsets in zero_points.values() for band in offsets})
    deviant = []
    for band in bands:
        of_band = {tile: offsets[band] for tile, offsets in zero_points.items() if band in offsets}
        sigmas = deviations(of_band)
        limit = largest_deviation(len(of_band)) if sigmas else 0.0
        for tile, sigma in sigmas.items():
            if abs(sigma) > limit:
                deviant.append((tile, band, round(sigma, 1)))
    return sorted(deviant)


def deviant_words(zero_points: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """The tiles of `deviant_tiles` in words, such as ``KIDS_180.0_-0.5 r +7.3 sigma``."""
    return tuple(
        f"{tile} {band} {sigma:+.1f} sigma" for tile, band, sigma in deviant_tiles(zero_points)
    )
