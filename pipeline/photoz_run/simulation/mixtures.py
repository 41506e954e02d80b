"""Everything that shines is a sum of Gaussians: Sersic profiles, the Moffat point spread, the pixel.

Convolving Gaussians adds their covariances, so seeing and pixel cost nothing, and the flux in a Gaussian aperture
(GAaP) has a closed form.
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
    """Objects as concentric Gaussians and free clumps, before seeing; angles and axes as in `galaxies.Structure`.

    ``major_NG`` and ``minor_NG`` are variances (arcsec^2), ``flux_BNG`` maggies; clumps lie at ``offset_NK2`` along the
    major and minor axis (arcsec), are round with variance ``clump_variance_NK`` and have ``clump_flux_BNK``.
    """

    angle_N: Floats
    major_NG: Floats
    minor_NG: Floats
    flux_BNG: Floats
    offset_NK2: Floats
    clump_variance_NK: Floats
    clump_flux_BNK: Floats


def sersic_weights(index_N: Floats) -> Floats:
    """Flux shares of the Gaussians of Sersic profiles, (N, 14), linear between tabulated indices."""
    data = spectra.data()
    rows = [np.interp(index_N, data.sersic_n, weight) for weight in data.sersic_weights.T]
    return np.stack(rows, axis=1)


def galaxy_mixtures(galaxies: Galaxies) -> Mixtures:
    """Bulge and disc share an angle, so together they are 28 concentric Gaussians; the clumps ride on the disc."""
    shape = galaxies.structure
    sigma_G = spectra.data().sersic_sigma
    bulge_NG = (shape.bulge_radius_N[:, None] * sigma_G) ** 2
    disc_NG = (shape.disc_radius_N[:, None] * sigma_G) ** 2
    share_clumped = galaxies.clumps_NB[:, 1] / galaxies.flux_NB[:, 1]
    clumped_N1 = (share_clumped > CLUMP_MINIMUM)[:, None]
    disc_NB = galaxies.disc_NB + np.where(clumped_N1, 0.0, galaxies.clumps_NB)
    clumps_NB = np.where(clumped_N1, galaxies.clumps_NB, 0.0)
    bulge_weight_NG = sersic_weights(shape.sersic_N)
    disc_weight_NG = sersic_weights(np.ones(len(galaxies)))
    offset_NK2, variance_NK, weight_NK = clumps_on_arms(
        galaxies.dice, shape.disc_radius_N, shape.disc_q_N
    )
    return Mixtures(
        angle_N=shape.angle_N,
        major_NG=np.concatenate([bulge_NG, disc_NG], axis=1),
        minor_NG=np.concatenate(
            [bulge_NG * shape.bulge_q_N[:, None] ** 2, disc_NG * shape.disc_q_N[:, None] ** 2],
            axis=1,
        ),
        flux_BNG=np.concatenate(
            [
                galaxies.bulge_NB.T[:, :, None] * bulge_weight_NG,
                disc_NB.T[:, :, None] * disc_weight_NG,
            ],
            axis=2,
        ),
        offset_NK2=offset_NK2,
        clump_variance_NK=variance_NK,
        clump_flux_BNK=clumps_NB.T[:, :, None] * weight_NK,
    )


def backdrop_mixtures(backdrop: Backdrop) -> Mixtures:
    """One Gaussian for a faint galaxy; a point and an aureole beyond the Moffat core for a star."""
    n = len(backdrop)
    core_N = backdrop.radius_N / np.sqrt(2 * np.log(2))
    major_NG = np.stack([core_N, *(np.full(n, sigma) for sigma in AUREOLE_SIGMA)], axis=1) ** 2
    weight_NG = np.where(
        backdrop.star_N[:, None], [1 - sum(AUREOLE_WEIGHT), *AUREOLE_WEIGHT], [1.0, 0.0, 0.0]
    )
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
    """Clumps along two logarithmic spiral arms of exponential discs: offsets (arcsec), variances, flux shares.

    Pitch angles 12-28 deg (Kennicutt 1981); the radii follow the disc between 0.5 and 3.3 scale lengths.
    """
    scale_length_N1 = radius_N[:, None] / 1.678
    part = dice.many("clump", CLUMPS)
    t = (np.arange(2000) + 0.5) * 0.0025 + 0.5
    t = t[t < 3.3]
    enclosed = np.cumsum(t * np.exp(-t))
    radius_NK = np.interp(part.uniform("radius"), enclosed / enclosed[-1], t).reshape(
        len(dice), CLUMPS
    )
    pitch_N1 = np.radians(12 + 16 * dice.uniform("pitch"))[:, None]
    handed_N1 = np.where(dice.uniform("handedness") < 0.5, -1.0, 1.0)[:, None]
    arm_NK = np.pi * (part.uniform("arm") < 0.5).reshape(len(dice), CLUMPS)
    phase_NK = arm_NK + 0.25 * part.normal("phase").reshape(len(dice), CLUMPS)
    start_N1 = 2 * np.pi * dice.uniform("arm start")[:, None]
    turn_NK = start_N1 + phase_NK + handed_N1 * np.log(radius_NK) / np.tan(pitch_N1)
    place_NK = radius_NK * scale_length_N1
    offset_NK2 = np.stack(
        [place_NK * np.cos(turn_NK), place_NK * np.sin(turn_NK) * q_N[:, None]], axis=2
    )
    sigma_NK = (0.07 + 0.11 * part.uniform("size").reshape(len(dice), CLUMPS)) * radius_N[:, None]
    weight_NK = np.exp(0.5 * part.normal("weight")).reshape(len(dice), CLUMPS)
    return offset_NK2, sigma_NK**2 * q_N[:, None], weight_NK / weight_NK.sum(axis=1, keepdims=True)


def aperture_flux(mixtures: Mixtures, band: int, a_N: Floats, b_N: Floats) -> Floats:
    """GAaP: the flux seen through a Gaussian aperture of dispersions ``a_N``, ``b_N`` (arcsec) along the major axis.

    The weight is 1 at the centre and acts on the pre-seeing light (Kuijken et al. 2015, appendix A), so a point
    source gives its whole flux. Each Gaussian contributes flux / sqrt((1 + sa^2/A^2)(1 + sb^2/B^2)), times a Gaussian
    in its offset.
    """
    a2, b2 = a_N[:, None] ** 2, b_N[:, None] ** 2
    inside = mixtures.flux_BNG[band] / np.sqrt(
        (1 + mixtures.major_NG / a2) * (1 + mixtures.minor_NG / b2)
    )
    wide_a, wide_b = mixtures.clump_variance_NK + a2, mixtures.clump_variance_NK + b2
    offset = mixtures.offset_NK2
    weight = np.exp(-0.5 * (offset[..., 0] ** 2 / wide_a + offset[..., 1] ** 2 / wide_b))
    clumps = mixtures.clump_flux_BNK[band] * weight * np.sqrt(a2 * b2 / (wide_a * wide_b))
    return np.asarray(inside.sum(axis=1) + clumps.sum(axis=1))


def intrinsic_size(mixtures: Mixtures, band: int) -> tuple[Floats, Floats]:
    """Rms major and minor axis (arcsec) before seeing, wings suppressed as by an isophote.

    Each Gaussian counts with the part of it that a round window twice as wide as the mean dispersion lets through.
    """
    flux_NG = mixtures.flux_BNG[band]
    total_N1 = np.maximum(flux_NG.sum(axis=1, keepdims=True), 1e-30)
    core_N1 = (flux_NG * np.sqrt(mixtures.major_NG)).sum(axis=1, keepdims=True) / total_N1
    window = np.maximum((2.0 * core_N1) ** 2, 1e-6)
    seen_a = mixtures.major_NG / (1 + mixtures.major_NG / window)
    seen_b = mixtures.minor_NG / (1 + mixtures.minor_NG / window)
    weight = flux_NG / np.sqrt((1 + mixtures.major_NG / window) * (1 + mixtures.minor_NG / window))
    norm_N = np.maximum(weight.sum(axis=1), 1e-30)
    return np.sqrt((weight * seen_a).sum(axis=1) / norm_N), np.sqrt(
        (weight * seen_b).sum(axis=1) / norm_N
    )
