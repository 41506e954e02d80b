"""Labelled stamps of a simulated survey: tiles are made, cut and thrown away."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from photoz_models.examples import Examples, SetFacts
from photoz_models.kept_sets import save_examples
from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS
from photoz_models.whole_files import written_whole
from photoz_run.config import RunConfig
from photoz_run.interrupts import children_undisturbed
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.simulation.survey import in_the_making
from photoz_run.simulation.tile import simulate_tile
from photoz_run.survey.discovery import find_tiles
from photoz_run.training.training_set import (
    Redshifts,
    build_training_set,
    join_examples,
    training_rule,
)

TRUTH_FILE = "truth.parquet"
"""Beside a simulated set: all that is true of its galaxies, row by row; written last."""


def as_made(folder: Path) -> None:
    """Leave the files in the folder of a tile as they are."""


def simulate_set(
    settings: SimulationSettings,
    tiles: int,
    folder: Path,
    jobs: int,
    report: Callable[[str], None],
    treat: Callable[[Path], None] = as_made,
) -> int:
    """Write the set of all galaxies of the bright selection, and what is true of them.

    The bytes do not depend on ``jobs``. ``report`` gets a line after each tile. ``treat`` changes
    the files in the folder of a tile before stamps are cut.

    Returns
    -------
    int
        The number of galaxies.

    Raises
    ------
    BadDataError
        If no tile holds a galaxy of the bright selection.
    """
    parts: list[Examples] = []
    truths: list[pa.Table] = []
    extent = f"{tiles} tiles of {settings.size} pixels"
    name = f"{extent}, density {settings.density:g}, seed {settings.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    # Stamps wait on disk: thousands of tiles are more than many a machine's memory.
    with in_the_making(folder), TemporaryFile(dir=folder) as waiting:
        for examples, truth in _tiles(settings, tiles, jobs, treat):
            report(f"{len(parts) + 1}/{tiles} {examples.tile_N[0]}: {len(examples)} galaxies")
            examples.stamps_NCHW.tofile(waiting)
            nothing = np.empty((len(examples), 0, 0, 0), np.float32)
            parts.append(replace(examples, stamps_NCHW=nothing))
            truths.append(truth)
        joined = join_examples(f"simulated KiDS {settings.facts.family}: {name}", parts)
        waiting.flush()
        shape = (len(joined), *joined.facts.rule.stamp_shape())
        stamps_NCHW = np.memmap(waiting, np.float32, "r", shape=shape)
        save_examples(replace(joined, stamps_NCHW=stamps_NCHW), folder)
        with written_whole(folder / TRUTH_FILE) as beside:
            pq.write_table(pa.concat_tables(truths), beside)
    return len(joined)


def label_tile(
    settings: SimulationSettings, index: int, treat: Callable[[Path], None] = as_made
) -> tuple[Examples, pa.Table] | None:
    """The galaxies of tile number ``index``, and what is true of each, row by row.

    ``treat`` is that of `simulate_set`. None if the tile is so small that no galaxy of the bright
    selection lies in it.
    """
    with TemporaryDirectory(prefix="photoz-tile-") as scratch:
        folder = Path(scratch)
        simulated = simulate_tile(settings, index, folder, ("sci", "msk"))
        treat(folder)
        galaxies = simulated.truth.filter(pc.field("kind") == "galaxy")
        redshifts = Redshifts(*(galaxies[name].to_numpy() for name in ("ra", "dec", "z")))
        facts = SetFacts(simulated.tile, True, training_rule(IMAGE_BANDS, MAGNITUDE_BANDS))
        config = RunConfig(tiles=("all",), data=(folder,), out=folder)
        tiles = find_tiles([folder]).values()
        parts = list(build_training_set(tiles, redshifts, config, facts))
    if not parts:
        return None
    [(examples, rows_N)] = parts
    return examples, galaxies.take(pa.array(rows_N))


def _tiles(
    settings: SimulationSettings, tiles: int, jobs: int, treat: Callable[[Path], None]
) -> Iterator[tuple[Examples, pa.Table]]:
    label = partial(label_tile, settings, treat=treat)
    if jobs == 1:
        yield from filter(None, map(label, range(tiles)))
        return
    with ProcessPoolExecutor(min(jobs, tiles), mp_context=get_context("spawn")) as pool:
        with children_undisturbed():
            labelled = pool.map(label, range(tiles))
        yield from filter(None, labelled)
