"""What a catalogue measures on the objects of a scene: GAaP fluxes, total fluxes, sizes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photoz_run.simulation import conditions, mixtures, spectra
from photoz_run.simulation.conditions import Observation
from photoz_run.simulation.dice import Dice
from photoz_run.simulation.mixtures import Mixtures
from photoz_run.simulation.rows import join, take
from photoz_run.simulation.scene import Scene

Floats = NDArray[np.float64]

GALAXY, FAINT, STAR = range(3)
FLOOR = {
    "u": 0.03, "g": 0.015, "r": 0.015, "i": 0.015, "i2": 0.015,
    "Z": 0.0225, "Y": 0.0225, "J": 0.0225, "H": 0.0225, "Ks": 0.03,
}  # fmt: skip
"""Error per object (mag) of the magnitudes alone, beyond photon noise.

It is 1.5 times the floors of the published fits.
"""
MINIMUM_APERTURE = 0.7
"""arcsec; added in quadrature to the rms size to give the GAaP aperture."""
MAXIMUM_APERTURE = 2.0
"""arcsec; no aperture is larger."""
DETECTION = 5.0
"""Signal-to-noise ratio in r that makes a source."""
MERGED = 1.2
"""Two objects closer than this (arcsec) are one source."""
BLENDED = 5.0
"""Objects closer than this add to each other's aperture fluxes."""
SEEING_RMS = 0.55
"""Rms size of a point source in FWHM, as an isophote gives it.

A Gaussian has 0.42; Moffat wings add to it.
"""
POSITION_RMS = 0.03
"""arcsec"""


@dataclass(frozen=True)
class Measured:
    """Sources as they are measured.

    ``flux_NE`` and ``noise_NE`` are GAaP fluxes (maggies), calibrated with DMAG. Extinction is
    left in.
    """

    kind_N: NDArray[np.intp]
    row_N: NDArray[np.intp]
    """Row in the scene's galaxies (kind `GALAXY`) or backdrop."""
    dice: Dice
    ra_N: Floats
    dec_N: Floats
    ebv_N: Floats
    major_N: Floats
    minor_N: Floats
    angle_N: Floats
    aperture_a_N: Floats
    aperture_b_N: Floats
    flux_NE: Floats
    noise_NE: Floats
    total_N: Floats
    """Kron flux in r (maggies of the pixels)."""
    kron_N: Floats
    """Kron radius (arcsec, circular equivalent)."""

    def __len__(self) -> int:
        return len(self.ra_N)


def measure(scene: Scene, seen: dict[str, Observation], epochs: tuple[str, ...]) -> Measured:
    """Measure every object of the scene, blend neighbours, and keep what is detected in r."""
    galaxy, around = scene.galaxies, scene.backdrop
    galaxy_N = np.full(len(galaxy), GALAXY)
    kind_N = np.where(around.star_N, STAR, FAINT)
    bright = _measure(
        scene.galaxy_light, galaxy.dice, galaxy.ra_N, galaxy.dec_N, galaxy_N, seen, epochs
    )
    other = _measure(
        scene.backdrop_light, around.dice, around.ra_N, around.dec_N, kind_N, seen, epochs
    )
    blended = blend(join([bright, other]))
    floors = [FLOOR[epoch] * blended.dice.normal(f"floor {epoch}") for epoch in epochs]
    floor_NE = np.stack(floors, axis=1)
    noisy_NE = (blended.flux_NE + noise(blended, epochs)) * 10 ** (-0.4 * floor_NE)
    r = epochs.index("r")
    detected_N = noisy_NE[:, r] > DETECTION * blended.noise_NE[:, r]
    return take(replace(blended, flux_NE=noisy_NE), detected_N)


def noise(sources: Measured, epochs: tuple[str, ...]) -> Floats:
    """One draw of the photon noise of each aperture flux."""
    draws = [sources.dice.normal(f"noise {epoch}") for epoch in epochs]
    return np.asarray(sources.noise_NE * np.stack(draws, axis=1))


def _measure(
    light: Mixtures,
    dice: Dice,
    ra_N: Floats,
    dec_N: Floats,
    kind_N: NDArray[np.intp],
    seen: dict[str, Observation],
    epochs: tuple[str, ...],
) -> Measured:
    r = spectra.BANDS.index("r")
    ebv_N = conditions.reddening(ra_N, dec_N)
    size_a_N, size_b_N = mixtures.intrinsic_size(light, r)
    seeing = SEEING_RMS * seen["r"].seeing
    major_N = np.hypot(size_a_N, seeing)
    minor_N = np.hypot(size_b_N, seeing)
    a_N = np.minimum(np.hypot(major_N, MINIMUM_APERTURE), MAXIMUM_APERTURE)
    b_N = np.minimum(np.hypot(minor_N, MINIMUM_APERTURE), MAXIMUM_APERTURE)
    total_N, kron_N = kron_flux(light, r, major_N * minor_N, seeing)
    flux, sigma = [], []
    for epoch in epochs:
        band = spectra.BANDS.index(epoch.rstrip("2"))
        extinction_N = conditions.EXTINCTION_PER_EBV[epoch] * ebv_N
        dimming_N = 10 ** (-0.4 * (extinction_N - seen[epoch].zero_point))
        flux.append(mixtures.aperture_flux(light, band, a_N, b_N) * dimming_N)
        sigma.append(seen[epoch].point_noise * np.sqrt(a_N * b_N))
    dimming_N = 10 ** (-0.4 * conditions.EXTINCTION_PER_EBV["r"] * ebv_N) * seen["r"].pixel_gain
    ra_error_N = POSITION_RMS / 3600 * dice.normal("ra error") / np.cos(np.radians(dec_N))
    dec_error_N = POSITION_RMS / 3600 * dice.normal("dec error")
    return Measured(
        kind_N=kind_N,
        row_N=np.arange(len(dice)),
        dice=dice,
        ra_N=ra_N + ra_error_N,
        dec_N=dec_N + dec_error_N,
        ebv_N=ebv_N,
        major_N=major_N,
        minor_N=minor_N,
        angle_N=light.angle_N,
        aperture_a_N=a_N,
        aperture_b_N=b_N,
        flux_NE=np.stack(flux, axis=1),
        noise_NE=np.stack(sigma, axis=1),
        total_N=total_N * dimming_N,
        kron_N=kron_N,
    )


def kron_flux(light: Mixtures, band: int, area_N: Floats, seeing: float) -> tuple[Floats, Floats]:
    """Flux within 2.5 Kron radii (Kron 1980) and that radius (arcsec).

    The Gaussians are taken as round ones of the same area. The Kron radius is the first moment of
    the light within 6 rms sizes. At least 3.5 rms sizes are used, as in SExtractor.
    """
    size_N1 = np.sqrt(area_N)[:, None]
    variance_NG = np.sqrt((light.major_NG + seeing**2) * (light.minor_NG + seeing**2))
    clumps_N1 = light.clump_flux_BNK[band].sum(axis=1, keepdims=True)
    flux_NG = np.concatenate([light.flux_BNG[band], clumps_N1], axis=1)
    variance_NG = np.concatenate([variance_NG, size_N1**2], axis=1)
    first_N = np.zeros(len(area_N))
    within_N = np.zeros(len(area_N))
    for t in (np.arange(30) + 0.5) * 0.2:
        radius_N1 = t * size_N1
        brightness_NG = flux_NG / variance_NG * np.exp(-0.5 * radius_N1**2 / variance_NG)
        ring_N = brightness_NG.sum(axis=1) * radius_N1[:, 0]
        first_N += ring_N * radius_N1[:, 0]
        within_N += ring_N
    kron_N = np.maximum(2.5 * first_N / np.maximum(within_N, 1e-300), 3.5 * size_N1[:, 0])
    inside_NG = 1 - np.exp(-0.5 * kron_N[:, None] ** 2 / variance_NG)
    return (flux_NG * inside_NG).sum(axis=1), kron_N


def close_pairs(
    ra_N: Floats, dec_N: Floats, limit: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """All pairs of points within ``limit`` arcsec: rows i, rows j, separations (arcsec)."""
    order = np.argsort(dec_N, kind="stable")
    ra, dec = ra_N[order], dec_N[order]
    firsts, seconds, distances = [order[:0]], [order[:0]], [np.zeros(0)]
    # Each point with the one that follows it in declination, then with the second after it, ...
    for shift in range(1, len(order)):
        height = (dec[shift:] - dec[:-shift]) * 3600
        near = np.flatnonzero(height < limit)
        if len(near) == 0:
            break
        offset = (ra[near + shift] - ra[near] + 180) % 360 - 180
        width = offset * 3600 * np.cos(np.radians(dec[near]))
        distance = np.hypot(width, height[near])
        close = distance < limit
        firsts.append(order[near[close]])
        seconds.append(order[near[close] + shift])
        distances.append(distance[close])
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(distances)


def blend(sources: Measured) -> Measured:
    """Add to each aperture the light that its neighbours shed into it.

    Of two objects closer than `MERGED` the brighter stays.
    """
    first_P, second_P, distance_P = close_pairs(sources.ra_N, sources.dec_N, BLENDED)
    merged_P = distance_P < MERGED
    flux_NE = sources.flux_NE.copy()
    total_N = sources.total_N.copy()
    stays_N = np.ones(len(sources), dtype=bool)
    for own_P, other_P in ((first_P, second_P), (second_P, first_P)):
        aperture_P = sources.aperture_a_N[own_P] * sources.aperture_b_N[own_P]
        size_P = sources.major_N[other_P] * sources.minor_N[other_P]
        wide_P = aperture_P + np.maximum(size_P - 0.15, 0.0)
        share_P = np.exp(-0.5 * distance_P**2 / wide_P) * aperture_P / wide_P
        np.add.at(flux_NE, own_P, sources.flux_NE[other_P] * share_P[:, None])
        other_total_P = sources.total_N[other_P]
        np.add.at(total_N, own_P, np.where(merged_P, other_total_P, 0.0))
        fainter_P = sources.total_N[own_P] < other_total_P
        stays_N[own_P[merged_P & fainter_P]] = False
    return take(replace(sources, flux_NE=flux_NE, total_N=total_N), stays_N)
