"""Do the pixels and the catalogue of a tile belong together? Fluxes are compared with magnitudes.

A coadd scaled to another zero-point, a WCS that is off, or the catalogue of another field gives
redshifts that look right. Each of them shifts the flux at the sources' positions against their
magnitudes by a magnitude or more.
"""

import numpy as np
from numpy.typing import NDArray

from photoz_run.science.photometry import aperture_flux

APERTURE_RADIUS = 5.0
"""Pixels: 1 arcsec, of the order of the GAaP apertures."""

FAINTEST = 21.0
"""Fainter sources say little: sky noise and neighbours enter the aperture."""

FEWEST = 20
"""Sources needed for a verdict."""

LARGEST_OFFSET = 1.0
"""Magnitudes. In the median, aperture and GAaP magnitudes of galaxies differ by a few tenths."""


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
    """Median of stamp minus catalogue magnitude of bright sources.

    ``None`` if there are fewer than `FEWEST`.
    """
    with np.errstate(invalid="ignore"):
        usable_N = (catalogue_mag_N < FAINTEST) & ~np.isnan(stamp_mag_N)
    difference_N = stamp_mag_N[usable_N] - catalogue_mag_N[usable_N]
    return float(np.median(difference_N)) if len(difference_N) >= FEWEST else None
