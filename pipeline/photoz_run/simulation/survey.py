"""A whole simulated survey: tiles side by side in processes, then the tables of all of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

from photoz_models.whole_files import written_whole
from photoz_run.errors import ConfigError, writing
from photoz_run.interrupts import children_undisturbed
from photoz_run.simulation import geometry
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.simulation.tile import SimulatedTile, simulate_tile

TRUTH_FILE = "truth.parquet"
SPECTROSCOPY_FILE = "specz.fits"
MARK = ".unfinished"
"""A file in the folder of a survey or set for as long as it is not complete."""
LEFT = (MARK, "KiDS_*", ".part-*", TRUTH_FILE, SPECTROSCOPY_FILE, "*.npy", "set.json")
"""What a simulation writes into its folder."""


def simulate_survey(
    settings: SimulationSettings,
    tiles: int,
    folder: Path,
    jobs: int = 1,
    report: Callable[[SimulatedTile], None] = lambda tile: None,
) -> None:
    """Write ``tiles`` tiles, ``truth.parquet`` and ``specz.fits`` into ``folder``.

    ``report`` is called for each finished tile. The bytes do not depend on ``jobs``.

    Raises
    ------
    ConfigError
        If ``folder`` cannot be made or is not empty, or the tiles do not fit on the sky.
    """
    check(settings, tiles, folder, jobs)
    by_index: dict[int, SimulatedTile] = {}
    with in_the_making(folder):
        for index, tile in _simulate(settings, tiles, folder, jobs):
            by_index[index] = tile
            report(tile)
        ordered = [by_index[index] for index in range(tiles)]
        truth = pa.concat_tables([tile.truth for tile in ordered])
        with written_whole(folder / TRUTH_FILE) as beside:
            pq.write_table(truth, beside)
        spectroscopy = pa.concat_tables([tile.spectroscopy for tile in ordered])
        with written_whole(folder / SPECTROSCOPY_FILE) as beside:
            write_table(spectroscopy, beside)


def check(settings: SimulationSettings, tiles: int, folder: Path, jobs: int) -> None:
    """Refuse what cannot be simulated before anything is written; make the folder."""
    if tiles < 1:
        raise ConfigError(f"{tiles} tiles cannot be simulated; ask for at least 1")
    if jobs < 1:
        raise ConfigError(f"{jobs} jobs cannot work; ask for at least 1")
    cells = [geometry.cell_of_tile(index, settings) for index in range(tiles)]
    names = {geometry.name_of_cell(cell, settings) for cell in cells}
    if len(names) < tiles:
        raise ConfigError(f"{tiles} tiles of {settings.size} pixels share names; ask for fewer")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / MARK).exists():
            _clear(folder)
        used = any(folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be written: {error.strerror}; give another directory"
        ) from error
    if used:
        raise ConfigError(
            f"{folder} is not empty; give a new directory, a survey is never written over another"
        )


@contextmanager
def in_the_making(folder: Path) -> Iterator[None]:
    """Mark a folder as unfinished during the block: the same command begins it anew.

    Raises
    ------
    OutputError
        If the disk is full.
    """
    with writing(folder):
        (folder / MARK).touch()
        yield
        (folder / MARK).unlink()


def _clear(folder: Path) -> None:
    """Delete what an interrupted simulation left, and nothing else."""
    for pattern in LEFT:
        for path in folder.glob(pattern):
            path.unlink()


def _simulate(
    settings: SimulationSettings, tiles: int, folder: Path, jobs: int
) -> Iterator[tuple[int, SimulatedTile]]:
    """Number and outcome of each tile, in the order in which they end."""
    if jobs == 1:
        for index in range(tiles):
            yield index, simulate_tile(settings, index, folder)
        return
    with ProcessPoolExecutor(min(jobs, tiles), mp_context=get_context("spawn")) as pool:
        waiting = {}
        with children_undisturbed():
            for index in range(tiles):
                waiting[pool.submit(simulate_tile, settings, index, folder)] = index
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as a FITS binary table."""
    columns, dtype = {}, []
    for name in table.column_names:
        values = table[name].to_numpy()
        if values.dtype.kind in "OU":
            values = values.astype("S")
        columns[name] = values
        dtype.append((name, values.dtype.newbyteorder(">")))
    rows = np.zeros(len(table), dtype=dtype)
    for name, values in columns.items():
        rows[name] = values
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(rows, name="SPECZ")]).writeto(path)
