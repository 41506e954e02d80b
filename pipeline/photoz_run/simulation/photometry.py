"""What a catalogue would measure on the objects of a scene: GAaP magnitudes, total magnitudes, sizes."""

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
"""Error per object (mag) of the magnitudes alone, beyond photon noise: 1.5 times the floors of the published fits."""
MINIMUM_APERTURE = 0.7
"""arcsec; added in quadrature to the rms size to give the GAaP aperture, which ends at `MAXIMUM_APERTURE`."""
MAXIMUM_APERTURE = 2.0
DETECTION = 5.0
"""Signal-to-noise ratio in r that makes a source."""
MERGED = 1.2
"""Two objects closer than this (arcsec) are one source."""
BLENDED = 5.0
"""Objects closer than this add to each other's aperture fluxes."""
SEEING_RMS = 0.55
"""Rms size of a point source, in FWHM, as an isophote gives it: 0.42 for a Gaussian, more with Moffat wings."""
POSITION_RMS = 0.03
"""arcsec"""


@dataclass(frozen=True)
class Measured:
    """Sources. ``flux_NE`` and ``noise_NE`` are GAaP fluxes (maggies), calibrated with DMAG, extinction left in."""

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
    floor_NE = np.stack([FLOOR[e] * blended.dice.normal(f"floor {e}") for e in epochs], axis=1)
    noisy_NE = (blended.flux_NE + noise(blended, epochs)) * 10 ** (-0.4 * floor_NE)
    r = epochs.index("r")
    return take(
        replace(blended, flux_NE=noisy_NE), noisy_NE[:, r] > DETECTION * blended.noise_NE[:, r]
    )


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
    size_a, size_b = mixtures.intrinsic_size(light, r)
    seeing = SEEING_RMS * seen["r"].seeing
    major_N, minor_N = np.hypot(size_a, seeing), np.hypot(size_b, seeing)
    a_N = np.minimum(np.hypot(major_N, MINIMUM_APERTURE), MAXIMUM_APERTURE)
    b_N = np.minimum(np.hypot(minor_N, MINIMUM_APERTURE), MAXIMUM_APERTURE)
    total_N, kron_N = kron_flux(light, r, major_N * minor_N, seeing)
    flux, sigma = [], []
    for epoch in epochs:
        dimming_N = 10 ** (
            -0.4 * (conditions.EXTINCTION_PER_EBV[epoch] * ebv_N - seen[epoch].zero_point)
        )
        flux.append(
            mixtures.aperture_flux(light, spectra.BANDS.index(epoch.rstrip("2")), a_N, b_N)
            * dimming_N
        )
        sigma.append(seen[epoch].point_noise * np.sqrt(a_N * b_N))
    dimming_N = 10 ** (-0.4 * conditions.EXTINCTION_PER_EBV["r"] * ebv_N) * seen["r"].pixel_gain
    return Measured(
        kind_N=kind_N,
        row_N=np.arange(len(dice)),
        dice=dice,
        ra_N=ra_N + POSITION_RMS / 3600 * dice.normal("ra error") / np.cos(np.radians(dec_N)),
        dec_N=dec_N + POSITION_RMS / 3600 * dice.normal("dec error"),
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
    """Flux within 2.5 Kron radii (Kron 1980) and that radius (arcsec), from round Gaussians of the same area.

    The Kron radius is the first moment of the light within 6 rms sizes; at least 3.5 rms sizes are used, as SExtractor
    does.
    """
    size_N1 = np.sqrt(area_N)[:, None]
    variance_NG = np.sqrt((light.major_NG + seeing**2) * (light.minor_NG + seeing**2))
    clumps_N1 = light.clump_flux_BNK[band].sum(axis=1, keepdims=True)
    flux_NG = np.concatenate([light.flux_BNG[band], clumps_N1], axis=1)
    variance_NG = np.concatenate([variance_NG, size_N1**2], axis=1)
    first_N, within_N = np.zeros(len(area_N)), np.zeros(len(area_N))
    for t in (np.arange(30) + 0.5) * 0.2:
        radius_N1 = t * size_N1
        light_N = (flux_NG / variance_NG * np.exp(-0.5 * radius_N1**2 / variance_NG)).sum(
            axis=1
        ) * radius_N1[:, 0]
        first_N += light_N * radius_N1[:, 0]
        within_N += light_N
    kron_N = np.maximum(2.5 * first_N / np.maximum(within_N, 1e-300), 3.5 * size_N1[:, 0])
    inside_NG = 1 - np.exp(-0.5 * kron_N[:, None] ** 2 / variance_NG)
    return (flux_NG * inside_NG).sum(axis=1), kron_N


def close_pairs(
    ra_N: Floats, dec_N: Floats, limit: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """All pairs of points within ``limit`` arcsec: rows i, rows j, separations (arcsec)."""
    order = np.argsort(dec_N, kind="stable")
    ra, dec = ra_N[order], dec_N[order]
    found = [(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))]
    for shift in range(1, len(order)):
        height = (dec[shift:] - dec[:-shift]) * 3600
        near = np.flatnonzero(height < limit)
        if len(near) == 0:
            break
        offset = (ra[near + shift] - ra[near] + 180) % 360 - 180
        distance = np.hypot(offset * 3600 * np.cos(np.radians(dec[near])), height[near])
        close = distance < limit
        found.append((order[near[close]], order[near[close] + shift], distance[close]))
    first, second, distance = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return first, second, distance


def blend(sources: Measured) -> Measured:
    """Add to each aperture what its neighbours shed into it; of two objects closer than `MERGED` the brighter stays."""
    i, j, distance = close_pairs(sources.ra_N, sources.dec_N, BLENDED)
    flux_NE, total_N = sources.flux_NE.copy(), sources.total_N.copy()
    stays_N = np.ones(len(sources), dtype=bool)
    for own, other in ((i, j), (j, i)):
        size = sources.aperture_a_N[own] * sources.aperture_b_N[own]
        spread = np.maximum(sources.major_N[other] * sources.minor_N[other] - 0.15, 0.0)
        share = np.exp(-0.5 * distance**2 / (size + spread)) * size / (size + spread)
        np.add.at(flux_NE, own, sources.flux_NE[other] * share[:, None])
        np.add.at(total_N, own, np.where(distance < MERGED, sources.total_N[other], 0.0))
        stays_N[own[(distance < MERGED) & (sources.total_N[own] < sources.total_N[other])]] = False
    return take(replace(sources, flux_NE=flux_NE, total_N=total_N), stays_N)
