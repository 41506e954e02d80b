"""Do the pixels and the catalogue of a tile belong together? Fluxes are compared with magnitudes.

A coadd scaled to another zero-point, a WCS that is off, or the catalogue of another field gives
redshifts that look right. Each of them shifts the flux at the sources' positions against their
magnitudes by a magnitude or more.
"""

from collections.abc import Mapping
from typing import Protocol

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

LEAST_SCATTER = 0.02
"""Magnitudes: the calibration of a tile is not known better, however alike the tiles are."""

LARGEST_DEVIATION = 5.0
"""Sigma beyond which a tile is said to stand out."""


class HasZeroPoints(Protocol):
    """What a tile's outcome tells: offset and error (mag) by band."""

    @property
    def zero_points(self) -> Mapping[str, float]:
        """Median of stamp minus catalogue magnitude."""

    @property
    def zero_point_errors(self) -> Mapping[str, float]:
        """Standard error of the median; outcomes of before have none."""


def aperture_magnitudes(flux_NCHW: NDArray[np.float32]) -> NDArray[np.float64]:
    """Magnitudes [N, C] within `APERTURE_RADIUS` of the stamps' centres.

    NaN where a pixel of the aperture cannot be used; `inf` where the flux is not positive.
    """
    flux_NC = np.empty(flux_NCHW.shape[:2])
    for c in range(flux_NCHW.shape[1]):
        flux_NC[:, c] = aperture_flux(flux_NCHW[:, c], APERTURE_RADIUS)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(flux_NC <= 0, np.inf, -2.5 * np.log10(flux_NC))


def offset(
    stamp_mag_N: NDArray[np.float64], catalogue_mag_N: NDArray[np.floating]
) -> tuple[float, float] | None:
    """Median of stamp minus catalogue magnitude of bright sources, and its error (mag).

    ``None`` with too few of them.
    """
    for faintest in (FAINTEST, FAINTEST_OF_FEW):
        with np.errstate(invalid="ignore"):
            usable_N = (catalogue_mag_N < faintest) & ~np.isnan(stamp_mag_N)
        if usable_N.sum() >= FEWEST:
            return _median(stamp_mag_N[usable_N] - catalogue_mag_N[usable_N])
    return None


def _median(value_N: NDArray[np.float64]) -> tuple[float, float]:
    """The median and its error: sqrt(pi / 2N) times the scatter, as of normal numbers."""
    middle = float(np.median(value_N))
    # No flux is infinitely faint; where half of the sources have none, their median has no error.
    size_N = np.abs(value_N - middle) if np.isfinite(middle) else np.zeros(1)
    error = SMAD_FACTOR * float(np.median(size_N)) * np.sqrt(np.pi / (2 * len(value_N)))
    return middle, float(error)


def deviations(
    offsets: Mapping[str, float], errors: Mapping[str, float] | None = None
) -> dict[str, float]:
    """How many sigma the offset of each tile is from those of the other tiles, signed.

    Parameters
    ----------
    offsets, errors
        Tile -> offset of stamp and catalogue magnitudes in one band, and its error (mag). One
        without an error counts as exact.

    Returns
    -------
    dict
        Tile -> (offset - median of the others) / sigma; empty with fewer than `FEWEST_TILES` tiles.
        Sigma is the scaled MAD of the others. That of few tiles is often too small by chance: sigma
        is at least what the tile's own error and `LEAST_SCATTER` make together.
    """
    if len(offsets) < FEWEST_TILES:
        return {}
    offset_T = np.array(list(offsets.values()))
    middle_T = _medians_of_others(offset_T)
    mad_T = np.empty_like(middle_T)
    for middle in np.unique(middle_T):  # whichever is left out, there are three at most
        same_T = middle_T == middle
        mad_T[same_T] = _medians_of_others(np.abs(offset_T - middle))[same_T]
    error_T = np.array([(errors or {}).get(tile, 0.0) for tile in offsets])
    scatter_T = np.maximum(np.hypot(LEAST_SCATTER, error_T), SMAD_FACTOR * mad_T)
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


def deviant_tiles(outcomes: Mapping[str, HasZeroPoints]) -> list[tuple[str, str, float]]:
    """Tile, band and sigma of offsets more than `LARGEST_DEVIATION` off the other tiles'."""
    bands = sorted({band for outcome in outcomes.values() for band in outcome.zero_points})
    deviant = []
    for band in bands:
        offsets, errors = {}, {}
        for tile, outcome in outcomes.items():
            if band in outcome.zero_points:
                offsets[tile] = outcome.zero_points[band]
                errors[tile] = outcome.zero_point_errors.get(band, 0.0)
        for tile, sigma in deviations(offsets, errors).items():
            if abs(sigma) > LARGEST_DEVIATION:
                deviant.append((tile, band, round(sigma, 1)))
    return sorted(deviant)


def deviant_words(outcomes: Mapping[str, HasZeroPoints]) -> tuple[str, ...]:
    """The tiles of `deviant_tiles` in words, such as ``KIDS_180.0_-0.5 r +7.3 sigma``."""
    return tuple(
        f"{tile} {band} {sigma:+.1f} sigma" for tile, band, sigma in deviant_tiles(outcomes)
    )
