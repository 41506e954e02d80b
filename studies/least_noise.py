"""The least noise of a total flux on stamps: that of a weighting with the true profile."""

import numpy as np
from numpy.typing import NDArray

from photoz_run.simulation import spectra
from photoz_run.simulation.geometry import PIXEL_SCALE
from photoz_run.simulation.mixtures import PSF_SIGMA_FWHM, PSF_WEIGHT, sersic_weights
from photoz_run.simulation.render import PIXEL_VARIANCE

Floats = NDArray[np.float64]

SHAPE = ("bulge_fraction", "bulge_radius", "disc_radius", "bulge_q", "disc_q", "sersic")
"""What the profile depends on: shares, half-light radii (arcsec), axis ratios, Sersic index."""


def pixels_under(shape: dict[str, Floats], seeing: float) -> Floats:
    """Number of pixels whose sky noise a total flux has at least.

    It is 1 / sum p^2 for a profile p of unit flux. With noise s in every pixel no unbiased estimate
    of the flux is better than s / sqrt(sum p^2), and weighting by p reaches that (Cramer-Rao; the
    matched filter). Profiles, seeing and pixel are sums of Gaussians. Two of them overlap by
    1 / (2 pi sqrt((a_i + a_j) (b_i + b_j))) for variances a and b along their axes.

    Parameters
    ----------
    shape
        Columns `SHAPE`, float64 (N,). Bulge and disc share their axes; shares hold in all bands.
    seeing
        FWHM in arcsec.

    Returns
    -------
    pixels_N
        Pixels of a coadd.
    """
    share_N = shape["bulge_fraction"]
    bulge_weight_NG = share_N[:, None] * sersic_weights(shape["sersic"])
    disc_weight_NG = (1 - share_N)[:, None] * sersic_weights(np.ones(len(share_N)))
    bulge = _seen(shape["bulge_radius"], shape["bulge_q"], bulge_weight_NG, seeing)
    disc = _seen(shape["disc_radius"], shape["disc_q"], disc_weight_NG, seeing)
    major_NG, minor_NG, weight_NG = (
        np.concatenate(parts, axis=1) for parts in zip(bulge, disc, strict=True)
    )
    overlap_N = np.zeros(len(share_N))
    for major_N, minor_N, weight_N in zip(major_NG.T, minor_NG.T, weight_NG.T, strict=True):
        product_NG = (major_NG + major_N[:, None]) * (minor_NG + minor_N[:, None])
        overlap_N += weight_N * (weight_NG / np.sqrt(product_NG)).sum(axis=1)
    return np.asarray(2 * np.pi / overlap_N)


def _seen(
    radius_N: Floats, q_N: Floats, weight_NG: Floats, seeing: float
) -> tuple[Floats, Floats, Floats]:
    """Variances (pixel^2) along both axes, and shares, of the Gaussians of a profile as seen."""
    sigma_G = spectra.data().sersic_sigma
    variance_NG1 = ((radius_N[:, None] * sigma_G / PIXEL_SCALE) ** 2)[:, :, None]
    blur_P = (PSF_SIGMA_FWHM * seeing / PIXEL_SCALE) ** 2 + PIXEL_VARIANCE
    number = len(radius_N)
    return (
        (variance_NG1 + blur_P).reshape(number, -1),
        (variance_NG1 * q_N[:, None, None] ** 2 + blur_P).reshape(number, -1),
        (weight_NG[:, :, None] * PSF_WEIGHT).reshape(number, -1),
    )
