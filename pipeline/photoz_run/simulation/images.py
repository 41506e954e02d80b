"""The pixels of one band: light, exposure pattern, noise, and what the flag image says of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from photoz_run.simulation import artefacts, conditions, geometry, render, spectra
from photoz_run.simulation.conditions import Observation
from photoz_run.simulation.geometry import Cell
from photoz_run.simulation.mixtures import Mixtures
from photoz_run.simulation.scene import Scene
from photoz_run.simulation.settings import SimulationSettings

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

STRIP = 256
"""Rows of noise drawn at once."""
_LANCZOS = np.sinc(np.arange(-2.5, 3.0)) * np.sinc(np.arange(-2.5, 3.0) / 3)
HALF_WAY = (_LANCZOS / _LANCZOS.sum()).astype(np.float32)
"""Weights of the six nearest pixels half-way between two: Lanczos of order 3."""


@dataclass(frozen=True)
class BandImages:
    """Coadd (maggies), inverse variance and flag image of one band."""

    sci_HW: Image
    weights: artefacts.Weights
    msk_HW: NDArray[np.uint8]

    def strips(self, product: str) -> Iterator[Image | NDArray[np.uint8]]:
        """The rows of ``sci``, ``wei`` or ``msk``, some at a time."""
        for start in range(0, len(self.sci_HW), STRIP):
            rows = slice(start, min(start + STRIP, len(self.sci_HW)))
            if product == "wei":
                yield self.weights.strip(rows.start, rows.stop)
            else:
                yield self.sci_HW[rows] if product == "sci" else self.msk_HW[rows]


def band_index(band: str) -> int:
    """Row of an image band in `spectra.BANDS`; i and i2 see the same colour."""
    return spectra.BANDS.index(band[0])


def make_band(
    settings: SimulationSettings, cell: Cell, band: str, scene: Scene, seen: Observation
) -> BandImages:
    """Render one band of a tile."""
    header = geometry.band_header(band, cell, settings)
    sci_HW = np.zeros(geometry.band_shape(band, settings), dtype=np.float32)
    words = [settings.seed, 20 + conditions.EPOCHS.index(band), *cell.words]
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(words)))
    draw_objects(sci_HW, band, header, scene, seen)
    flaws = artefacts.draw_flaws(settings, cell, band)
    stars = artefacts.bright_stars(scene.backdrop, header, sci_HW.shape)
    artefacts.add_halos(sci_HW, stars, band_index(band), seen)
    artefacts.add_spikes(sci_HW, stars, band_index(band), seen)
    artefacts.add_trail(sci_HW, flaws, seen)
    row_H, column_W = artefacts.exposure_profile(rng, sci_HW.shape)
    add_noise(sci_HW, rng, row_H, column_W, seen, conditions.SKY[band])
    msk_HW = artefacts.flag_image(sci_HW, flaws, stars, band_index(band), seen)
    artefacts.spoil(sci_HW, flaws, seen)
    noise = seen.pixel_noise * seen.pixel_gain
    return BandImages(sci_HW, artefacts.Weights(row_H, column_W / noise**2, flaws), msk_HW)


def draw_objects(
    sci_HW: Image, band: str, header: fits.Header, scene: Scene, seen: Observation
) -> None:
    """Add the light of all objects, dimmed by the Milky Way, at the zero-point of the pixels."""
    index = band_index(band)
    per_ebv = conditions.EXTINCTION_PER_EBV[band]
    faintest = 0.05 * seen.pixel_noise / seen.pixel_gain
    for light, ra_N, dec_N, tolerance in (
        (scene.galaxy_light, scene.galaxies.ra_N, scene.galaxies.dec_N, 5e-4),
        (scene.backdrop_light, scene.backdrop.ra_N, scene.backdrop.dec_N, 1e-2),
    ):
        dimming_N = 10 ** (-0.4 * per_ebv * conditions.reddening(ra_N, dec_N))
        light_in_band = _dimmed(light, index, seen.pixel_gain * dimming_N)
        x_N, y_N = geometry.pixels(header, ra_N, dec_N)
        body, clumps = render.mixture_blobs(
            light_in_band, 0, x_N, y_N, seen.seeing, seen.elongation
        )
        render.add(sci_HW, body, tolerance, faintest)
        render.add(sci_HW, clumps, 10 * tolerance, faintest)


def _dimmed(light: Mixtures, index: int, factor_N: Floats) -> Mixtures:
    """The same light in one band only, multiplied by a factor per object."""
    band = slice(index, index + 1)
    return replace(
        light,
        flux_BNG=light.flux_BNG[band] * factor_N[:, None],
        clump_flux_BNK=light.clump_flux_BNK[band] * factor_N[:, None],
    )


def add_noise(
    sci_HW: Image,
    rng: np.random.Generator,
    row_H: Floats,
    column_W: Floats,
    seen: Observation,
    sky: float,
) -> None:
    """Sky noise, larger where fewer exposures overlap, and Poisson noise of the objects' light.

    A pixel with flux f has the variance sigma^2 (1 + f / f_sky), with f_sky the sky's flux in it.
    """
    sky_flux = np.float32(10 ** (-0.4 * sky) * geometry.PIXEL_SCALE**2)
    column = (seen.pixel_noise * seen.pixel_gain / np.sqrt(column_W)).astype(np.float32)
    for start in range(0, len(sci_HW), STRIP):
        strip = sci_HW[start : start + STRIP]
        noise: Image = rng.standard_normal(strip.shape, dtype=np.float32)
        if seen.resampled:
            noise = resampled(noise)
        row: Image = np.sqrt(row_H[start : start + STRIP, None]).astype(np.float32)
        poisson: Image = np.sqrt(np.float32(1) + np.maximum(strip, np.float32(0)) / sky_flux)
        strip += noise * (column / row) * poisson


def resampled(noise_HW: Image) -> Image:
    """White noise after a resampling by half a pixel along rows and columns.

    Its sum over an aperture keeps its scatter. That of a pixel falls to 0.78 of it.
    """
    for axis in (0, 1):
        noise_HW = convolve1d(noise_HW, HALF_WAY, axis=axis, mode="wrap")
    return noise_HW
