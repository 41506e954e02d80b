"""Light is a sum of Gaussians throughout: Sersic profiles, the Moffat point spread, the pixel.

Convolving Gaussians adds their covariances, so seeing and pixel cost nothing. The flux in a
Gaussian aperture (GAaP) has a closed form.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photoz_run.simulation import spectra
from photoz_run.simulation.backdrop import Backdrop
from photoz_run.simulation.dice import Dice
from photoz_run.simulation.galaxies import Galaxies

Floats = NDArray[np.float64]

PSF_SIGMA_FWHM = np.array([0.3165, 0.4877, 0.7996, 1.5358])
"""Dispersions, in FWHM, of the four Gaussians that follow a Moffat profile with beta = 2.9."""
PSF_WEIGHT = np.array([0.1602, 0.4767, 0.3006, 0.0626]) / 1.0001
AUREOLE_SIGMA = (3.0, 10.0)
AUREOLE_WEIGHT = (0.012, 0.006)
"""Light of a star far outside the Moffat core: dispersions (arcsec) and shares."""
CLUMPS = 32
"""Clumps per galaxy; too few look like satellites, more cost time and do not change a stamp."""
CLUMP_MINIMUM = 0.02
"""Galaxies with less of their g light in clumps are drawn smooth."""


@dataclass(frozen=True)
class Mixtures:
    """Objects as concentric Gaussians and round clumps, before seeing."""

    angle_N: Floats
    """Position angle as in `galaxies.Structure`."""
    major_NG: Floats
    """Variance along the major axis (arcsec^2)."""
    minor_NG: Floats
    """Variance along the minor axis (arcsec^2)."""
    flux_BNG: Floats
    """Maggies."""
    offset_NK2: Floats
    """Place of each clump along the major and the minor axis (arcsec)."""
    clump_variance_NK: Floats
    """Variance of each clump (arcsec^2)."""
    clump_flux_BNK: Floats
    """Maggies."""


def sersic_weights(index_N: Floats) -> Floats:
    """Flux shares of the Gaussians of Sersic profiles, shape (N, 14).

    They are linear between the tabulated indices.
    """
    data = spectra.data()
    rows = [np.interp(index_N, data.sersic_n, weight) for weight in data.sersic_weights.T]
    return np.stack(rows, axis=1)


def galaxy_mixtures(galaxies: Galaxies) -> Mixtures:
    """Bulge and disc share an angle, so together they are 28 concentric Gaussians; and clumps."""
    shape = galaxies.structure
    share_clumped_N = galaxies.clumps_NB[:, 1] / galaxies.flux_NB[:, 1]
    clumped_N1 = (share_clumped_N > CLUMP_MINIMUM)[:, None]
    disc_NB = galaxies.disc_NB + np.where(clumped_N1, 0.0, galaxies.clumps_NB)
    clumps_NB = np.where(clumped_N1, galaxies.clumps_NB, 0.0)

    sigma_G = spectra.data().sersic_sigma
    bulge_major_NG = (shape.bulge_radius_N[:, None] * sigma_G) ** 2
    disc_major_NG = (shape.disc_radius_N[:, None] * sigma_G) ** 2
    bulge_minor_NG = bulge_major_NG * shape.bulge_q_N[:, None] ** 2
    disc_minor_NG = disc_major_NG * shape.disc_q_N[:, None] ** 2
    bulge_BNG = galaxies.bulge_NB.T[:, :, None] * sersic_weights(shape.sersic_N)
    disc_BNG = disc_NB.T[:, :, None] * sersic_weights(np.ones(len(galaxies)))
    offset_NK2, variance_NK, weight_NK = clumps_on_arms(
        galaxies.dice, shape.disc_radius_N, shape.disc_q_N
    )
    return Mixtures(
        angle_N=shape.angle_N,
        major_NG=np.concatenate([bulge_major_NG, disc_major_NG], axis=1),
        minor_NG=np.concatenate([bulge_minor_NG, disc_minor_NG], axis=1),
        flux_BNG=np.concatenate([bulge_BNG, disc_BNG], axis=2),
        offset_NK2=offset_NK2,
        clump_variance_NK=variance_NK,
        clump_flux_BNK=clumps_NB.T[:, :, None] * weight_NK,
    )


def backdrop_mixtures(backdrop: Backdrop) -> Mixtures:
    """One Gaussian for a faint galaxy; a point and an aureole beyond the Moffat core for a star."""
    n = len(backdrop)
    core_N = backdrop.radius_N / np.sqrt(2 * np.log(2))
    aureole = [np.full(n, sigma) for sigma in AUREOLE_SIGMA]
    major_NG = np.stack([core_N, *aureole], axis=1) ** 2
    of_star = [1 - sum(AUREOLE_WEIGHT), *AUREOLE_WEIGHT]
    weight_NG = np.where(backdrop.star_N[:, None], of_star, [1.0, 0.0, 0.0])
    return Mixtures(
        angle_N=backdrop.angle_N,
        major_NG=major_NG,
        minor_NG=major_NG * backdrop.q_N[:, None] ** 2,
        flux_BNG=backdrop.flux_NB.T[:, :, None] * weight_NG,
        offset_NK2=np.zeros((n, 0, 2)),
        clump_variance_NK=np.zeros((n, 0)),
        clump_flux_BNK=np.zeros((backdrop.flux_NB.shape[1], n, 0)),
    )


def clumps_on_arms(dice: Dice, radius_N: Floats, q_N: Floats) -> tuple[Floats, Floats, Floats]:
    """Clumps along two logarithmic spiral arms of exponential discs.

    Pitch angles are 12-28 deg (Kennicutt 1981). The radii follow the disc between 0.5 and 3.3
    scale lengths.

    Returns
    -------
    Offsets (arcsec), variances (arcsec^2) and flux shares of the clumps of each galaxy.
    """
    shape = (len(dice), CLUMPS)
    part = dice.many("clump", CLUMPS)
    scale_length_N1 = radius_N[:, None] / 1.678
    radius_NK = _disc_radius(part.uniform("radius")).reshape(shape)
    place_NK = radius_NK * scale_length_N1

    pitch_N1 = np.radians(12 + 16 * dice.uniform("pitch"))[:, None]
    handed_N1 = np.where(dice.uniform("handedness") < 0.5, -1.0, 1.0)[:, None]
    start_N1 = 2 * np.pi * dice.uniform("arm start")[:, None]
    arm_NK = np.pi * (part.uniform("arm") < 0.5).reshape(shape)
    phase_NK = arm_NK + 0.25 * part.normal("phase").reshape(shape)
    turn_NK = start_N1 + phase_NK + handed_N1 * np.log(radius_NK) / np.tan(pitch_N1)
    along_NK = place_NK * np.cos(turn_NK)
    across_NK = place_NK * np.sin(turn_NK) * q_N[:, None]

    share_NK = 0.07 + 0.11 * part.uniform("size").reshape(shape)
    sigma_NK = share_NK * radius_N[:, None]
    variance_NK = sigma_NK**2 * q_N[:, None]
    weight_NK = np.exp(0.5 * part.normal("weight")).reshape(shape)
    flux_share_NK = weight_NK / weight_NK.sum(axis=1, keepdims=True)
    return np.stack([along_NK, across_NK], axis=2), variance_NK, flux_share_NK


def _disc_radius(u_N: Floats) -> Floats:
    """Radii in scale lengths of an exponential disc, by inversion of its growth curve."""
    t = (np.arange(2000) + 0.5) * 0.0025 + 0.5
    t = t[t < 3.3]
    enclosed = np.cumsum(t * np.exp(-t))
    return np.asarray(np.interp(u_N, enclosed / enclosed[-1], t))


def aperture_flux(mixtures: Mixtures, band: int, a_N: Floats, b_N: Floats) -> Floats:
    """GAaP: the flux seen through a Gaussian aperture.

    Its weight is 1 at the centre and acts on the pre-seeing light (Kuijken et al. 2015, appendix
    A), so a point source gives its whole flux. A Gaussian of dispersions s_a and s_b contributes
    flux / sqrt((1 + s_a^2/A^2) (1 + s_b^2/B^2)), times a Gaussian in its offset.

    Parameters
    ----------
    a_N, b_N
        Dispersions (arcsec) of the aperture along the object's major and minor axis.
    """
    a2_N1 = a_N[:, None] ** 2
    b2_N1 = b_N[:, None] ** 2
    widening_NG = (1 + mixtures.major_NG / a2_N1) * (1 + mixtures.minor_NG / b2_N1)
    body_NG = mixtures.flux_BNG[band] / np.sqrt(widening_NG)

    wide_a_NK = mixtures.clump_variance_NK + a2_N1
    wide_b_NK = mixtures.clump_variance_NK + b2_N1
    along_NK, across_NK = mixtures.offset_NK2[..., 0], mixtures.offset_NK2[..., 1]
    distance_NK = along_NK**2 / wide_a_NK + across_NK**2 / wide_b_NK
    overlap_NK = np.sqrt(a2_N1 * b2_N1 / (wide_a_NK * wide_b_NK))
    clumps_NK = mixtures.clump_flux_BNK[band] * np.exp(-0.5 * distance_NK) * overlap_NK
    return np.asarray(body_NG.sum(axis=1) + clumps_NK.sum(axis=1))


def intrinsic_size(mixtures: Mixtures, band: int) -> tuple[Floats, Floats]:
    """Rms major and minor axis (arcsec) before seeing, wings suppressed as by an isophote.

    Each Gaussian counts with the part of it that passes a round window. The window is twice as
    wide as the mean dispersion.
    """
    flux_NG = mixtures.flux_BNG[band]
    total_N1 = np.maximum(flux_NG.sum(axis=1, keepdims=True), 1e-30)
    core_N1 = (flux_NG * np.sqrt(mixtures.major_NG)).sum(axis=1, keepdims=True) / total_N1
    window_N1 = np.maximum((2.0 * core_N1) ** 2, 1e-6)
    widening_a_NG = 1 + mixtures.major_NG / window_N1
    widening_b_NG = 1 + mixtures.minor_NG / window_N1
    seen_a_NG = mixtures.major_NG / widening_a_NG
    seen_b_NG = mixtures.minor_NG / widening_b_NG
    weight_NG = flux_NG / np.sqrt(widening_a_NG * widening_b_NG)
    norm_N = np.maximum(weight_NG.sum(axis=1), 1e-30)
    variance_a_N = (weight_NG * seen_a_NG).sum(axis=1) / norm_N
    variance_b_N = (weight_NG * seen_b_NG).sum(axis=1) / norm_N
    return np.sqrt(variance_a_N), np.sqrt(variance_b_N)
