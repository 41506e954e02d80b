"""A whole simulated survey: tiles side by side in processes, then the tables that belong to all of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from photoz_run.errors import ConfigError
from photoz_run.simulation import geometry
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.simulation.tile import SimulatedTile, simulate_tile

TRUTH_FILE = "truth.parquet"
SPECTROSCOPY_FILE = "specz.fits"


def simulate_survey(
    settings: SimulationSettings,
    tiles: int,
    folder: Path,
    jobs: int = 1,
    report: Callable[[SimulatedTile], None] = lambda tile: None,
) -> None:
    """Write ``tiles`` tiles, ``truth.parquet`` and ``specz.fits`` into ``folder``; ``report`` is called as tiles end.

    The bytes do not depend on ``jobs``.

    Raises
    ------
    ConfigError
        If ``folder`` cannot be made or is not empty, or the tiles do not fit on the sky.
    """
    check(settings, tiles, folder, jobs)
    made: dict[int, SimulatedTile] = {}
    for index, tile in _simulate(settings, tiles, folder, jobs):
        made[index] = tile
        report(tile)
    ordered = [made[index] for index in range(tiles)]
    pq.write_table(pa.concat_tables([tile.truth for tile in ordered]), folder / TRUTH_FILE)
    write_table(
        pa.concat_tables([tile.spectroscopy for tile in ordered]), folder / SPECTROSCOPY_FILE
    )


def check(settings: SimulationSettings, tiles: int, folder: Path, jobs: int) -> None:
    """Refuse what cannot be simulated before anything is written; make the folder."""
    if tiles < 1:
        raise ConfigError(f"{tiles} tiles cannot be simulated; ask for at least 1")
    if jobs < 1:
        raise ConfigError(f"{jobs} jobs cannot work; ask for at least 1")
    names = [
        geometry.name_of_cell(geometry.cell_of_tile(index, settings), settings)
        for index in range(tiles)
    ]
    if len(set(names)) < tiles:
        raise ConfigError(f"{tiles} tiles of {settings.size} pixels share names; ask for fewer")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = any(folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be written: {error.strerror}; give another directory"
        ) from error
    if used:
        raise ConfigError(
            f"{folder} is not empty; give a new directory, a survey is never written over another"
        )


def _simulate(
    settings: SimulationSettings, tiles: int, folder: Path, jobs: int
) -> Iterator[tuple[int, SimulatedTile]]:
    one = partial(simulate_tile, settings, folder=folder)
    if jobs == 1:
        yield from ((index, one(index)) for index in range(tiles))
        return
    with ProcessPoolExecutor(min(jobs, tiles), mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(one, index): index for index in range(tiles)}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as a FITS binary table."""
    columns = {name: table[name].to_numpy() for name in table.column_names}
    ascii_columns = {
        name: v.astype("S") if v.dtype.kind in "OU" else v for name, v in columns.items()
    }
    dtype = [
        (name, v.dtype.newbyteorder(">") if v.dtype.kind != "S" else v.dtype)
        for name, v in ascii_columns.items()
    ]
    rows = np.zeros(len(table), dtype=dtype)
    for name, values in ascii_columns.items():
        rows[name] = values
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(rows, name="SPECZ")]).writeto(path)
