"""What stamps could tell of simulated galaxies at best: true structure and total magnitudes.

``python -m studies.structure SET --tiles N --size N --density X --data-release DR4.0 --seed N``
writes them beside a set that ``photoz simulate SET --stamps`` made with the same options.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_models.errors import PhotozError
from photoz_models.stamp_rule import IMAGE_BANDS
from photoz_run.errors import ConfigError
from photoz_run.simulation.conditions import EXTINCTION_PER_EBV, Observation, observe
from photoz_run.simulation.geometry import cell_of_tile, name_of_cell
from photoz_run.simulation.settings import SimulationSettings
from photoz_run.training.simulated import TRUTH_FILE
from studies.least_noise import SHAPE, pixels_under

STRUCTURE_FILE = "structure.parquet"
"""Beside a simulated set: one row for each of its galaxies."""

STREAM = 70
"""Keeps the noise of the totals apart from all that the simulation draws with the same seed."""

CLUMPS = "clump_fraction_g"


def write_structure(folder: Path, settings: SimulationSettings, tiles: int) -> None:
    """Write ``structure.parquet`` beside a simulated set.

    Parameters
    ----------
    settings, tiles
        Those that the set was simulated with.

    Raises
    ------
    ConfigError
        If the set has galaxies in other tiles.
    """
    truth = pq.read_table(folder / TRUTH_FILE)
    parts = []
    for index in range(tiles):
        cell = cell_of_tile(index, settings)
        galaxies = truth.filter(pc.field("tile") == name_of_cell(cell, settings))
        if len(galaxies) == 0:
            continue
        dice = np.random.default_rng(np.random.SeedSequence([settings.seed, STREAM, index]))
        parts.append(structure_table(galaxies, observe(settings, cell), dice))
    structure = pa.concat_tables(parts)
    if len(structure) != len(truth):
        raise ConfigError(f"{folder}: this set was simulated with other options")
    pq.write_table(structure, folder / STRUCTURE_FILE)


def structure_table(
    truth: pa.Table, seen: Mapping[str, Observation], dice: np.random.Generator
) -> pa.Table:
    """True structure, and total magnitudes with the least noise that stamps allow.

    Sky noise is that under a weighting with the true profile (`pixels_under`). As in the stamps
    it is that of an image whose zero-point is off and which was corrected for extinction.
    """
    columns = {name: truth[name].to_numpy().astype(np.float32) for name in (*SHAPE, CLUMPS)}
    shape = {name: truth[name].to_numpy() for name in SHAPE}
    for band in IMAGE_BANDS:
        image = seen[band]
        gain = 10 ** (0.4 * image.zero_point)
        clearing_N = 10 ** (0.4 * EXTINCTION_PER_EBV[band] * truth["ebv"].to_numpy())
        pixels_N = pixels_under(shape, image.seeing)
        noise_N = image.pixel_noise * gain * clearing_N * np.sqrt(pixels_N)
        flux_N = truth[f"flux_{band}"].to_numpy() * gain
        noisy_N = flux_N + noise_N * dice.standard_normal(len(flux_N))
        columns[f"total_{band}"] = _magnitude(np.maximum(noisy_N, noise_N))
    return pa.table(columns)


def _magnitude(flux_N: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(-2.5 * np.log10(flux_N), np.float32)


def command_line() -> argparse.ArgumentParser:
    """What the command takes: options as of ``photoz simulate``."""
    parser = argparse.ArgumentParser(prog="python -m studies.structure")
    parser.add_argument("folder", type=Path, metavar="SET")
    parser.add_argument("--tiles", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--density", type=float, required=True)
    parser.add_argument("--data-release", required=True)
    parser.add_argument("--seed", type=int, required=True)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the file."""
    options = vars(command_line().parse_args(argv))
    folder, tiles = options.pop("folder"), options.pop("tiles")
    write_structure(folder, SimulationSettings(**options), tiles)


if __name__ == "__main__":
    try:
        main()
    except PhotozError as error:
        sys.exit(f"studies.structure: {error}")
