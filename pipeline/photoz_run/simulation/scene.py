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
    density = settings.density * float(luminosity.density_table().sum())
    bright = galaxies.draw_galaxies(*_population(settings, cell, "galaxies", density))
    faint_density = settings.crowding * backdrop.FAINT_DENSITY
    faint = backdrop.draw_faint(*_population(settings, cell, "faint", faint_density))
    star_density = settings.crowding * backdrop.star_count_density()
    stars = backdrop.draw_stars(*_population(settings, cell, "stars", star_density))
    around = join([faint, stars])
    return Scene(
        galaxies=bright,
        backdrop=around,
        galaxy_light=mixtures.galaxy_mixtures(bright),
        backdrop_light=mixtures.backdrop_mixtures(around),
    )


def _population(
    settings: SimulationSettings, cell: Cell, kind: str, density: float
) -> tuple[Dice, Floats, Floats]:
    """Keys and places of one kind of object within reach of the tile.

    ``density`` counts objects per square degree.
    """
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
    rng = np.random.default_rng(np.random.SeedSequence(words))
    number = int(rng.poisson(density * area.area))
    dice = Dice(keys(words, number))
    ra_N, dec_N = area.place(dice.uniform("ra"), dice.uniform("dec"))
    chosen = near(ra_N, dec_N)
    return dice.key_N[chosen], ra_N[chosen], dec_N[chosen]


def _near(
    settings: SimulationSettings, cell: Cell, reach: int
) -> Callable[[Floats, Floats], NDArray[np.bool_]]:
    """A test that tells which points lie within ``reach`` pixels of the tile's r coadd."""
    header = geometry.band_header("r", cell, settings)
    height, width = geometry.band_shape("r", settings)

    def near(ra_N: Floats, dec_N: Floats) -> NDArray[np.bool_]:
        x_N, y_N = geometry.pixels(header, ra_N, dec_N)
        in_columns_N = (x_N > -reach) & (x_N < width + reach)
        in_rows_N = (y_N > -reach) & (y_N < height + reach)
        return np.asarray(in_columns_N & in_rows_N)

    return near
