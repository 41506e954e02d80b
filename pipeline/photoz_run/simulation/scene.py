"""All objects whose light can reach a tile, whichever cell of the sky owns them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photoz_run.simulation import backdrop, galaxies, geometry, luminosity, mixtures
from photoz_run.simulation.dice import Dice, keys
from photoz_run.simulation.geometry import Cell
from photoz_run.simulation.rows import join
from photoz_run.simulation.settings import SimulationSettings

Floats = NDArray[np.float64]

REACH = {"galaxies": 150, "faint": 30, "stars": 500}
"""How far outside the coadd (pixels) an object can still shed light into it."""


@dataclass(frozen=True)
class Scene:
    """The objects of a tile and their light profiles."""

    galaxies: galaxies.Galaxies
    backdrop: backdrop.Backdrop
    galaxy_light: mixtures.Mixtures
    backdrop_light: mixtures.Mixtures


def make_scene(settings: SimulationSettings, cell: Cell) -> Scene:
    """Draw the objects of the cell and of its neighbours that the tile's coadds can see."""
    bright = galaxies.draw_galaxies(
        *_population(
            settings, cell, "galaxies", settings.density * float(luminosity.density_table().sum())
        )
    )
    faint = backdrop.draw_faint(*_population(settings, cell, "faint", backdrop.FAINT_DENSITY))
    stars = backdrop.draw_stars(
        *_population(settings, cell, "stars", backdrop.star_count_density())
    )
    around = join([faint, stars])
    return Scene(
        bright, around, mixtures.galaxy_mixtures(bright), mixtures.backdrop_mixtures(around)
    )


def _population(
    settings: SimulationSettings, cell: Cell, kind: str, density: float
) -> tuple[Dice, Floats, Floats]:
    """Keys and places of one kind of object (``density`` per square degree) within reach of the tile."""
    near = _near(settings, cell, REACH[kind])
    parts = [_of_cell(settings, other, kind, density, near) for other in cell.neighbours()]
    key, ra, dec = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Dice(key), ra, dec


def _of_cell(
    settings: SimulationSettings,
    cell: Cell,
    kind: str,
    density: float,
    near: Callable[[Floats, Floats], NDArray[np.bool_]],
) -> tuple[NDArray[np.uint64], Floats, Floats]:
    area = geometry.cell_rectangle(cell, settings)
    words = [settings.seed, 2 + list(REACH).index(kind), *cell.words]
    number = int(np.random.default_rng(np.random.SeedSequence(words)).poisson(density * area.area))
    dice = Dice(keys(words, number))
    ra_N, dec_N = area.place(dice.uniform("ra"), dice.uniform("dec"))
    chosen = near(ra_N, dec_N)
    return dice.key_N[chosen], ra_N[chosen], dec_N[chosen]


def _near(
    settings: SimulationSettings, cell: Cell, reach: int
) -> Callable[[Floats, Floats], NDArray[np.bool_]]:
    header = geometry.band_header("r", cell, settings)
    height, width = geometry.band_shape("r", settings)

    def near(ra_N: Floats, dec_N: Floats) -> NDArray[np.bool_]:
        x, y = geometry.pixels(header, ra_N, dec_N)
        return np.asarray((x > -reach) & (x < width + reach) & (y > -reach) & (y < height + reach))

    return near
