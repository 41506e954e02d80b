"""Where the tiles lie: two blocks of a grid, across RA 0 at declination -31 and at the equator.

Each cell of the grid owns its objects. A tile's footprint is a little larger than its cell, so
neighbouring tiles show the same objects in their overlap. Their catalogues are cut at the cell and
share no object.
"""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from photoz_run.errors import ConfigError
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.survey.names import tile_name

Floats = NDArray[np.float64]

PIXEL_SCALE = 0.2
"""arcsec per pixel of KiDS coadds."""
BLOCKS = ((0.0, -31.2, -1), (180.0, -0.5, 1))
"""RA and declination of the first cell, and the direction in which the next row lies."""
ROWS = 2
FARTHEST_RA, FARTHEST_DEC = 85.0, 9.0
"""How far a block reaches from its first cell (deg): the blocks of KiDS are not much larger."""
MARGIN_SHARE = 0.0161
MARGIN_MINIMUM = 20
"""Pixels by which a coadd reaches past its cell: more than half a stamp."""
NAME_STEP = 0.1
"""Tile names have one decimal, so cells are at least this wide (deg)."""
BAND_OFFSETS = {"u": (0, 0), "g": (27, 34), "r": (25, 31), "i": (21, 36), "i2": (12, 18)}
"""Rows and columns by which each band's coadd is larger than the size asked for."""
BAND_PHASE = {
    "u": (0.0, 0.0),
    "g": (0.37, -0.21),
    "r": (-0.12, 0.44),
    "i": (0.29, 0.18),
    "i2": (-0.4, -0.33),
}
"""Part of a pixel by which each band's grid is shifted."""


@dataclass(frozen=True)
class Cell:
    """One place of the grid."""

    block: int
    row: int
    column: int

    @property
    def words(self) -> list[int]:
        """Non-negative integers that name the cell, for seeds."""
        return [self.block, self.row + 1000, self.column + 100000]

    def neighbours(self) -> list["Cell"]:
        """The cell and the eight around it."""
        steps = (-1, 0, 1)
        return [Cell(self.block, self.row + i, self.column + j) for i in steps for j in steps]


@dataclass(frozen=True)
class Rectangle:
    """A rectangle in RA and declination (deg); ``ra`` is not wrapped."""

    ra: float
    dec: float
    half_ra: float
    half_dec: float

    @property
    def area(self) -> float:
        """Square degrees."""
        top, bottom = self._sines()
        return float(2 * self.half_ra * np.degrees(top - bottom))

    def place(self, u_N: Floats, v_N: Floats) -> tuple[Floats, Floats]:
        """Map the unit square to the rectangle with equal areas; RA may lie outside 0..360."""
        top, bottom = self._sines()
        sine_N = bottom + v_N * (top - bottom)
        ra_N = self.ra + (2 * u_N - 1) * self.half_ra
        return ra_N, np.degrees(np.arcsin(sine_N))

    def _sines(self) -> tuple[np.float64, np.float64]:
        """Sines of the upper and the lower declination."""
        edges = np.radians([self.dec + self.half_dec, self.dec - self.half_dec])
        top, bottom = np.sin(edges)
        return top, bottom

    def contains(self, ra_N: Floats, dec_N: Floats) -> NDArray[np.bool_]:
        """Which points lie inside."""
        offset_N = (ra_N - self.ra + 180) % 360 - 180
        in_ra_N = np.abs(offset_N) <= self.half_ra
        in_dec_N = np.abs(dec_N - self.dec) <= self.half_dec
        return np.asarray(in_ra_N & in_dec_N)


def cell_of_tile(index: int, settings: SimulationSettings) -> Cell:
    """The cell of tile number ``index``: blocks in turn, rows in turn, columns 0, 1, -1, 2, ...

    Where two rows are full, the next two begin.
    """
    block, place = index % len(BLOCKS), index // len(BLOCKS)
    row, position = place % ROWS, place // ROWS
    step_ra, step_dec = cell_steps(settings, block)
    columns = 2 * int(FARTHEST_RA / step_ra) + 1
    row, position = row + ROWS * (position // columns), position % columns
    if row * step_dec > FARTHEST_DEC:
        raise ConfigError(
            f"tile number {index} does not fit on the sky; ask for fewer tiles or a smaller size"
        )
    column = (position + 1) // 2 * (1 if position % 2 else -1)
    return Cell(block, row, column)


def cell_steps(settings: SimulationSettings, block: int) -> tuple[float, float]:
    """Steps of the grid in RA and declination (deg).

    The step in RA is that of the row nearest the equator.
    """
    owned = settings.size - 2 * margin_pixels(settings)
    step_dec = max(NAME_STEP, owned * PIXEL_SCALE / 3600)
    _, dec, _ = BLOCKS[block]
    step_ra = step_dec / float(np.cos(np.radians(abs(dec))))
    return step_ra, step_dec


def margin_pixels(settings: SimulationSettings) -> int:
    """How far a coadd reaches past its cell."""
    return max(MARGIN_MINIMUM, int(MARGIN_SHARE * settings.size))


def cell_rectangle(cell: Cell, settings: SimulationSettings) -> Rectangle:
    """The part of the sky that the cell owns."""
    ra, dec, direction = BLOCKS[cell.block]
    step_ra, step_dec = cell_steps(settings, cell.block)
    return Rectangle(
        ra + cell.column * step_ra, dec + direction * cell.row * step_dec, step_ra / 2, step_dec / 2
    )


def catalogue_rectangle(cell: Cell, settings: SimulationSettings) -> Rectangle:
    """The part of the cell that the tile's catalogue covers.

    That is all of it, unless the coadd is smaller than the cell.
    """
    owned = cell_rectangle(cell, settings)
    reach = (settings.size / 2 - margin_pixels(settings)) * PIXEL_SCALE / 3600
    return Rectangle(
        owned.ra,
        owned.dec,
        min(owned.half_ra, reach / float(np.cos(np.radians(owned.dec)))),
        min(owned.half_dec, reach),
    )


def name_of_cell(cell: Cell, settings: SimulationSettings) -> str:
    """Tile name, the centre to one decimal."""
    centre = cell_rectangle(cell, settings)
    ra = f"{centre.ra % 360:.1f}"
    return tile_name("0.0" if ra == "360.0" else ra, f"{centre.dec:.1f}".replace("-0.0", "0.0"))


def band_shape(band: str, settings: SimulationSettings) -> tuple[int, int]:
    """Rows and columns of a band's coadd."""
    rows, columns = BAND_OFFSETS[band]
    return settings.size + rows, settings.size + columns


def band_header(band: str, cell: Cell, settings: SimulationSettings) -> fits.Header:
    """The WCS keywords of a band's coadd: TAN, a CD matrix, and a reference pixel of its own."""
    height, width = band_shape(band, settings)
    phase_y, phase_x = BAND_PHASE[band]
    centre = cell_rectangle(cell, settings)
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CUNIT1"], header["CUNIT2"] = "deg", "deg"
    header["CRVAL1"], header["CRVAL2"] = centre.ra % 360, centre.dec
    header["CRPIX1"], header["CRPIX2"] = (width + 1) / 2 + phase_x, (height + 1) / 2 + phase_y
    header["CD1_1"], header["CD1_2"] = -PIXEL_SCALE / 3600, 0.0
    header["CD2_1"], header["CD2_2"] = 0.0, PIXEL_SCALE / 3600
    header["RADESYS"], header["EQUINOX"] = "ICRS", 2000.0
    return header


def pixels(header: fits.Header, ra_N: Floats, dec_N: Floats) -> tuple[Floats, Floats]:
    """0-based pixel coordinates of points on the sky."""
    wcs = WCS(header)
    x_N, y_N = wcs.all_world2pix(ra_N % 360, dec_N, 0)
    return np.asarray(x_N), np.asarray(y_N)
