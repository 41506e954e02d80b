"""What spoils images: bright stars, bad columns, satellite trails, gaps between CCDs, borders."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from photoz_run.simulation import geometry, render
from photoz_run.simulation.backdrop import Backdrop
from photoz_run.simulation.conditions import EPOCHS, Observation
from photoz_run.simulation.geometry import Cell
from photoz_run.simulation.settings import SimulationSettings

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

(
    READOUT_SPIKE,
    SATURATED,
    DIFFRACTION,
    HALO_PRIMARY,
    HALO_SECONDARY,
    HALO_TERTIARY,
    BAD_PIXEL,
    MANUAL,
) = (1 << k for k in range(8))
"""Bits of the KiDS flag image."""
SATURATION_MAGNITUDE = 16.5
"""A star of this magnitude just saturates its central pixel in median seeing (0.8 arcsec)."""
HALO_MAGNITUDE = 14.5
"""Fainter stars have no halo."""
HALO_RADII = (9.0, 26.0)
"""Inner and outer radius (arcsec) of the reflection halo of a star of magnitude 12.

They grow by 12% per magnitude.
"""
HALO_SHARE = 0.006
"""Share of the star's light in its halo."""
SPIKE_MAGNITUDE = 15.5
SPIKE_SHARE = 0.01
"""Share of a star's light in its cross; stars fainter than `SPIKE_MAGNITUDE` show none."""
EXPOSURES = 5
CCD_PITCH = (4700, 2300)
"""Rows and columns from CCD to CCD. The gaps of `GAP` pixels are dithered by `DITHER`."""
GAP = (90, 60)
DITHER = (425, 125)
BAD_COLUMNS_PER_PIXEL = 0.5 / 2000
TRAIL_CHANCE = 0.25


@dataclass(frozen=True)
class Flaws:
    """The defects of one band of one tile."""

    columns: tuple[tuple[int, int, int], ...]
    """Bad columns: first row, row after the last, column."""
    trail: tuple[float, float] | None
    """Slope and intercept of a satellite trail, if there is one."""
    border: tuple[int, int, int, int]
    """Widths of the empty border: bottom, top, left, right."""


@dataclass(frozen=True)
class BrightStars:
    """Stars that saturate or make halos, in a band's pixels; flux without extinction (N, 9)."""

    x_N: Floats
    y_N: Floats
    flux_NB: Floats

    def brighter(self, band: int, magnitude: float) -> list[tuple[float, float, float]]:
        """x, y and magnitude of the stars brighter than ``magnitude``."""
        m_N = -2.5 * np.log10(self.flux_NB[:, band])
        brighter_N = m_N < magnitude
        places = (self.x_N[brighter_N], self.y_N[brighter_N], m_N[brighter_N])
        return list(zip(*(values.tolist() for values in places), strict=True))


def draw_flaws(settings: SimulationSettings, cell: Cell, band: str) -> Flaws:
    """The defects of one band of one tile."""
    words = [settings.seed, 40 + EPOCHS.index(band), *cell.words]
    rng = np.random.default_rng(np.random.SeedSequence(words))
    height, width = geometry.band_shape(band, settings)
    columns = []
    for _ in range(int(rng.poisson(BAD_COLUMNS_PER_PIXEL * width))):
        length = int(rng.integers(min(400, height // 2), min(4100, height)))
        first = int(rng.integers(0, height - length))
        column = int(rng.integers(0, width))
        columns.append((first, first + length, column))
    trail = _draw_trail(rng, height, width, settings.size)
    low, high, left, right = rng.integers(0, 9, 4).tolist()
    return Flaws(tuple(columns), trail, (low, high, left, right))


def _draw_trail(
    rng: np.random.Generator, height: int, width: int, size: int
) -> tuple[float, float] | None:
    """Slope and intercept of the band's satellite trail, if it has one."""
    chance, steepness, place = rng.uniform(0, 1, 3).tolist()
    if chance >= TRAIL_CHANCE * min(1.0, size / 2000):
        return None
    direction = 1 if place < 0.5 else -1
    slope = float(np.tan(np.radians(20 + 50 * steepness)) * direction)
    return slope, height / 2 - slope * width * place


def bright_stars(backdrop: Backdrop, header: fits.Header, shape: tuple[int, ...]) -> BrightStars:
    """The stars that need treatment, those just outside the coadd included."""
    faintest = 10 ** (-0.4 * (SATURATION_MAGNITUDE + 1))
    bright = backdrop.star_N & (backdrop.flux_NB.max(axis=1) > faintest)
    x_N, y_N = geometry.pixels(header, backdrop.ra_N[bright], backdrop.dec_N[bright])
    return BrightStars(x_N, y_N, backdrop.flux_NB[bright])


def halo_radii(magnitude: float) -> tuple[float, float]:
    """Inner and outer radius (pixels) of a star's reflection halo."""
    growth = 1.12 ** (12.0 - magnitude) / geometry.PIXEL_SCALE
    return HALO_RADII[0] * growth, HALO_RADII[1] * growth


def add_halos(sci_HW: Image, stars: BrightStars, band: int, seen: Observation) -> None:
    """A faint ring of reflected light around each bright star."""
    for x, y, magnitude in stars.brighter(band, HALO_MAGNITUDE):
        inner, outer = halo_radii(magnitude)
        window, radius = _around(sci_HW, x, y, outer + 4)
        if window is None:
            continue
        area = np.pi * (outer**2 - inner**2)
        level = HALO_SHARE * 10 ** (-0.4 * magnitude) * seen.pixel_gain / area
        outer_edge = 1 / (1 + np.exp((radius - outer) / 1.5))
        inner_edge = 1 + np.exp(-(radius - inner) / 2)
        ring = outer_edge * (0.35 + 0.65 / inner_edge)
        window += (level * ring).astype(np.float32)


def _around(
    image_HW: NDArray[Any], x: float, y: float, reach: float
) -> tuple[NDArray[Any] | None, Floats]:
    """The part of an image within ``reach`` of a point, and its pixels' distances from there."""
    height, width = image_HW.shape
    left = max(0, int(x - reach))
    right = min(width, int(x + reach) + 2)
    bottom = max(0, int(y - reach))
    top = min(height, int(y + reach) + 2)
    if left >= right or bottom >= top:
        return None, np.zeros(0)
    rows, columns = np.ogrid[bottom:top, left:right]
    return image_HW[bottom:top, left:right], np.hypot(columns - x, rows - y)


def trail_pixels(
    shape: tuple[int, ...], flaws: Flaws, reach: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Rows, columns and distances (pixels) of the pixels near the satellite trail."""
    height, width = shape
    if flaws.trail is None:
        return np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0)
    slope, intercept = flaws.trail
    stretch = np.sqrt(1 + slope**2)
    columns = np.arange(width)
    middle = np.round(slope * columns + intercept).astype(np.intp)
    steps = np.arange(-int(reach * stretch), int(reach * stretch) + 1)
    rows = middle[:, None] + steps
    columns_2d = np.broadcast_to(columns[:, None], rows.shape)
    distance = np.abs(rows - slope * columns_2d - intercept) / stretch
    inside = (rows >= 0) & (rows < height) & (distance <= reach)
    return rows[inside], columns_2d[inside], distance[inside]


def flawed(flaws: Flaws, shape: tuple[int, ...], x_N: Floats, y_N: Floats) -> NDArray[np.bool_]:
    """Which points have no data under them: a bad column or the empty border."""
    low, high, left, right = flaws.border
    height, width = shape
    x, y = np.round(x_N), np.round(y_N)
    empty_N: NDArray[np.bool_] = (y < low) | (y >= height - high)
    empty_N |= (x < left) | (x >= width - right)
    for first, last, column in flaws.columns:
        empty_N |= (x == column) & (y >= first) & (y < last)
    return empty_N


def on_trail(flaws: Flaws, x_N: Floats, y_N: Floats, reach: float) -> NDArray[np.bool_]:
    """Which points lie within ``reach`` pixels of the satellite trail."""
    if flaws.trail is None:
        return np.zeros(len(x_N), dtype=bool)
    slope, intercept = flaws.trail
    height_N = np.abs(y_N - slope * x_N - intercept)
    return np.asarray(height_N < reach * np.sqrt(1 + slope**2))


def in_halo(
    stars: BrightStars, band: int, magnitude: float, x_N: Floats, y_N: Floats
) -> NDArray[np.bool_]:
    """Which points lie in the halo of a star brighter than ``magnitude``."""
    inside = np.zeros(len(x_N), dtype=bool)
    for x, y, m in stars.brighter(band, magnitude):
        inside |= np.hypot(x_N - x, y_N - y) < halo_radii(m)[1]
    return inside


def add_trail(sci_HW: Image, flaws: Flaws, seen: Observation) -> None:
    """What is left of a satellite trail in one of the stacked exposures."""
    rows, columns, distance = trail_pixels(sci_HW.shape, flaws, 8)
    peak = 12 * seen.pixel_noise * seen.pixel_gain
    light = peak * np.exp(-0.5 * (distance / 2.2) ** 2)
    sci_HW[rows, columns] += light.astype(np.float32)


def exposure_profile(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Share of the exposures that see each row and each column: CCD gaps, dithered."""
    profiles = []
    for axis in (0, 1):
        lost = np.zeros(shape[axis])
        start = int(rng.integers(0, CCD_PITCH[axis]))
        for exposure in range(EXPOSURES):
            phase = (np.arange(shape[axis]) + start - exposure * DITHER[axis]) % CCD_PITCH[axis]
            lost += phase < GAP[axis]
        profiles.append(1 - lost / EXPOSURES)
    return profiles[0], profiles[1]


def saturation_level(seen: Observation) -> float:
    """Pixel value (maggies) at which the detector is full."""
    peak_share = 1 / (2 * np.pi * (0.425 * 0.8 / geometry.PIXEL_SCALE) ** 2)
    return float(10 ** (-0.4 * SATURATION_MAGNITUDE) * peak_share * seen.pixel_gain)


def flag_image(
    sci_HW: Image, flaws: Flaws, stars: BrightStars, band: int, seen: Observation
) -> NDArray[np.uint8]:
    """The flag image; saturated pixels are cut off at the saturation level in ``sci_HW``."""
    msk_HW = np.zeros(sci_HW.shape, dtype=np.uint8)
    level = saturation_level(seen)
    for sci_W, msk_W in zip(sci_HW, msk_HW, strict=True):
        msk_W[sci_W > level] |= SATURATED
        np.minimum(sci_W, np.float32(level), out=sci_W)
    for x, y, magnitude in stars.brighter(band, SPIKE_MAGNITUDE):
        _flag_spikes(msk_HW, x, y, magnitude)
    for x, y, magnitude in stars.brighter(band, HALO_MAGNITUDE):
        window, radius = _around(msk_HW, x, y, halo_radii(magnitude)[1])
        if window is not None:
            window[radius < halo_radii(magnitude)[1]] |= HALO_PRIMARY
    for first, last, column in flaws.columns:
        msk_HW[first:last, column] |= BAD_PIXEL
    return msk_HW


def spike_reach(magnitude: float) -> int:
    """Length (pixels) of the arms of a star's diffraction cross."""
    return int(12 * 1.35 ** (SPIKE_MAGNITUDE - magnitude)) + 8


def add_spikes(sci_HW: Image, stars: BrightStars, band: int, seen: Observation) -> None:
    """The diffraction cross of bright stars: four arms, three pixels wide, fading outwards."""
    across = np.array([0.7, 1.6, 0.7])
    for x, y, magnitude in stars.brighter(band, SPIKE_MAGNITUDE):
        column, row = round(x), round(y)
        reach = spike_reach(magnitude)
        steps = np.arange(-reach, reach + 1)
        along = np.exp(-5.0 * np.abs(steps) / reach)
        flux = SPIKE_SHARE * 10 ** (-0.4 * magnitude) * seen.pixel_gain
        level = flux / (3 * along.sum())
        arm = (level * along[:, None] * across).astype(np.float32)
        render.paste(sci_HW, arm, column - 1, row - reach)
        render.paste(sci_HW, arm.T, column - reach, row - 1)


def _flag_spikes(msk_HW: NDArray[np.uint8], x: float, y: float, magnitude: float) -> None:
    """Readout spike along the column and the diffraction cross."""
    column, row = round(x), round(y)
    height, width = msk_HW.shape
    reach = spike_reach(magnitude)
    rows = _within(row - reach, row + reach + 1, height)
    columns = _within(column - reach, column + reach + 1, width)
    if 0 <= column < width:
        msk_HW[rows, column] |= READOUT_SPIKE
        msk_HW[rows, _within(column - 1, column + 2, width)] |= DIFFRACTION
    if 0 <= row < height:
        msk_HW[_within(row - 1, row + 2, height), columns] |= DIFFRACTION


def _within(start: int, stop: int, length: int) -> slice:
    """The part of a range that lies on an axis of ``length`` pixels."""
    return slice(max(0, start), max(0, min(length, stop)))


@dataclass(frozen=True)
class Weights:
    """Inverse variance of the sky noise of one band.

    It is an outer product of rows and columns, so that the image can be made strip by strip.
    """

    row_H: Floats
    column_W: Floats
    flaws: Flaws

    def strip(self, start: int, stop: int) -> Image:
        """Rows ``start`` to ``stop`` of the weight image; 0 in the border and in bad columns."""
        low, high, left, right = self.flaws.border
        row_H = self.row_H.astype(np.float32)
        row_H[:low] = 0
        row_H[len(row_H) - high :] = 0
        column_W = self.column_W.astype(np.float32)
        column_W[:left] = 0
        column_W[len(column_W) - right :] = 0
        strip: Image = row_H[start:stop, None] * column_W
        for first, last, column in self.flaws.columns:
            strip[max(first - start, 0) : max(last - start, 0), column] = 0
        return strip


def spoil(sci_HW: Image, flaws: Flaws, seen: Observation) -> None:
    """Empty the border of the coadd and put rubbish into its bad columns."""
    for first, last, column in flaws.columns:
        sci_HW[first:last, column] -= np.float32(25 * seen.pixel_noise)
    low, high, left, right = flaws.border
    height, width = sci_HW.shape
    sci_HW[:low] = 0
    sci_HW[height - high :] = 0
    sci_HW[:, :left] = 0
    sci_HW[:, width - right :] = 0
