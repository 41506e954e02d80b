"""Labelled stamps of a simulated survey: tiles are made, cut and thrown away; a training set and its truth stay."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from photoz_models.examples import Examples, SetFacts
from photoz_models.kept_sets import save_examples
from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS
from photoz_run.config import RunConfig
from photoz_run.simulation.conditions import EXTINCTION_PER_EBV, Observation, observe
from photoz_run.simulation.geometry import cell_of_tile
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.simulation.tile import simulate_tile
from photoz_run.survey.discovery import find_tiles
from photoz_run.training.least_noise import SHAPE, pixels_under
from photoz_run.training.training_set import (
    Redshifts,
    build_training_set,
    join_examples,
    training_rule,
)

STRUCTURE_FILE = "structure.parquet"
"""Beside a simulated set: what is true of each galaxy's structure, row by row, and its noisy total magnitudes."""

CLUMPS = "clump_fraction_g"


def simulate_set(
    settings: SimulationSettings, tiles: int, folder: Path, jobs: int, report: Callable[[str], None]
) -> int:
    """Write the set of all galaxies of the bright selection, with their true redshifts, and ``structure.parquet``.

    The bytes do not depend on ``jobs``; ``report`` gets a line after each tile. Gives the number of galaxies.

    Raises
    ------
    BadDataError
        If no tile holds a galaxy of the bright selection.
    """
    parts: list[Examples] = []
    structures: list[pa.Table] = []
    name = f"{tiles} tiles of {settings.size} pixels, density {settings.density:g}, seed {settings.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    # Stamps wait on disk: thousands of tiles are more than many a machine's memory.
    with TemporaryFile(dir=folder) as waiting:
        for examples, structure in _tiles(settings, tiles, jobs):
            report(f"{len(parts) + 1}/{tiles} {examples.tile_N[0]}: {len(examples)} galaxies")
            examples.stamps_NCHW.tofile(waiting)
            parts.append(
                replace(examples, stamps_NCHW=np.empty((len(examples), 0, 0, 0), np.float32))
            )
            structures.append(structure)
        joined = join_examples(f"simulated KiDS {settings.facts.family}: {name}", parts)
        waiting.flush()
        shape = (len(joined), *examples.stamps_NCHW.shape[1:])
        stamps_NCHW = np.memmap(waiting, np.float32, "r", shape=shape)
        save_examples(replace(joined, stamps_NCHW=stamps_NCHW), folder)
    pq.write_table(pa.concat_tables(structures), folder / STRUCTURE_FILE)
    return len(joined)


def _tiles(
    settings: SimulationSettings, tiles: int, jobs: int
) -> Iterator[tuple[Examples, pa.Table]]:
    one = partial(label_tile, settings)
    if jobs == 1:
        yield from filter(None, map(one, range(tiles)))
        return
    with ProcessPoolExecutor(min(jobs, tiles), mp_context=get_context("spawn")) as pool:
        yield from filter(None, pool.map(one, range(tiles)))


def label_tile(settings: SimulationSettings, index: int) -> tuple[Examples, pa.Table] | None:
    """The galaxies of tile number ``index``: stamps, magnitudes and true redshifts; and their structure, row by row.

    None if the tile is so small that no galaxy of the bright selection lies in it.
    """
    with TemporaryDirectory(prefix="photoz-tile-") as folder:
        made = simulate_tile(settings, index, Path(folder), ("sci", "msk"))
        config = RunConfig(tiles=("all",), data=(Path(folder),), out=Path(folder))
        galaxies = made.truth.filter(
            pa.array(made.truth["kind"].to_numpy(zero_copy_only=False) == "galaxy")
        )
        redshifts = Redshifts(*(galaxies[name].to_numpy() for name in ("ra", "dec", "z")))
        facts = SetFacts(made.tile, True, training_rule(IMAGE_BANDS, MAGNITUDE_BANDS))
        parts = list(
            build_training_set(find_tiles([Path(folder)]).values(), redshifts, config, facts)
        )
    if not parts:
        return None
    [(examples, rows_N)] = parts
    seen = observe(settings, cell_of_tile(index, settings))
    dice = np.random.default_rng(np.random.SeedSequence([settings.seed, 70, index]))
    return examples, structure_table(galaxies.take(pa.array(rows_N)), seen, dice)


def structure_table(
    truth: pa.Table, seen: dict[str, Observation], dice: np.random.Generator
) -> pa.Table:
    """True structure, and total magnitudes as the best imaginable photometry of the stamps would give them.

    Sky noise is that under a weighting with the true profile (`pixels_under`). As in the stamps it is that of an image
    whose zero-point is off and which was corrected for extinction.
    """
    columns = {name: truth[name].to_numpy().astype(np.float32) for name in (*SHAPE, CLUMPS)}
    shape = {name: truth[name].to_numpy() for name in SHAPE}
    for band in IMAGE_BANDS:
        gain = 10 ** (0.4 * seen[band].zero_point)
        clearing_N = 10 ** (0.4 * EXTINCTION_PER_EBV[band] * truth["ebv"].to_numpy())
        noise_N = (
            seen[band].pixel_noise
            * gain
            * clearing_N
            * np.sqrt(pixels_under(shape, seen[band].seeing))
        )
        flux_N = truth[f"flux_{band}"].to_numpy() * gain
        noisy_N = np.maximum(flux_N + noise_N * dice.standard_normal(len(flux_N)), noise_N)
        columns[f"total_{band}"] = (-2.5 * np.log10(noisy_N)).astype(np.float32)
    return pa.table(columns)
