"""The information bound of a simulated set: what no network that reads stamps can be expected to beat.

A network is given the nine magnitudes and, in place of the stamps, what the stamps could tell at best: the true
structure of each galaxy, free of noise, and its total magnitudes in the bands of the stamps with the least noise that a
measurement of known profile has. A second bound does not know which share of the light is in clumps: they are smaller
than the seeing, and stamps show them at best in part.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_models.contract import QUANTILE_LEVELS
from photoz_models.examples import Examples, Split
from photoz_models.export import seal
from photoz_models.network import Architecture
from photoz_models.stamp_rule import MAGNITUDE_BANDS
from photoz_models.training import Settings, evaluate, train
from photoz_run.errors import ConfigError
from photoz_run.training.comparison import BLIND_BOUND, BOUND, Row, measure
from photoz_run.training.simulated import CLUMPS, STRUCTURE_FILE

MEMBERS = 3
SETTINGS = Settings(epochs=20, batch=256, lost_magnitudes=0.0)
DENSE = 256

SKEWED = ("bulge_radius", "disc_radius", "sersic")
"""Columns whose logarithm is given; the others are shares and ratios, or magnitudes."""


def bound_rows(
    training: Examples, split: Split, test: Examples, rows_N: NDArray[np.int64]
) -> list[Row]:
    """Measure the information bound, and the one that does not see clumps; arguments as of `bound_row`."""
    seen = tuple(name for name in training.facts.columns if name != CLUMPS)
    blind = training.narrowed((), seen), split, test.narrowed((), seen), rows_N
    return [bound_row(BOUND, training, split, test, rows_N), bound_row(BLIND_BOUND, *blind)]


def bound_row(
    name: str, training: Examples, split: Split, test: Examples, rows_N: NDArray[np.int64]
) -> Row:
    """Train a bound's ensemble on the training part of one set and measure it on ``rows_N`` of another.

    Parameters
    ----------
    training, test
        Sets with `with_structure`.
    """
    architecture = Architecture("bound", (), training.facts.columns, widths=((), ()), dense=DENSE)
    members = [
        train(architecture, training, split, SETTINGS.model_copy(update={"seed": seed}))[0]
        for seed in range(1, MEMBERS + 1)
    ]
    outputs = evaluate(seal(members, training, split), test, rows_N)
    return Row(
        name, measure(outputs, np.array(test.z_N[rows_N]), test.tile_N[rows_N], QUANTILE_LEVELS)
    )


def knows_structure(folder: Path) -> bool:
    """Whether the set in this folder was simulated with what is true of its galaxies."""
    return (folder / STRUCTURE_FILE).exists()


def with_structure(examples: Examples, folder: Path) -> Examples:
    """The set with its true structure and total magnitudes as further columns beside the nine magnitudes; no stamps.

    Raises
    ------
    ConfigError
        If the ``structure.parquet`` in ``folder`` is not of these galaxies.
    """
    truth = pq.read_table(folder / STRUCTURE_FILE)
    if len(truth) != len(examples):
        raise ConfigError(
            f"{folder}: {STRUCTURE_FILE} has {len(truth)} rows, the set {len(examples)}; make it again"
        )
    columns = [_column(name, truth[name].to_numpy()) for name in truth.column_names]
    nine = examples.narrowed((), MAGNITUDE_BANDS)
    return replace(
        nine,
        facts=replace(nine.facts, further_columns=tuple(truth.column_names)),
        table_NT=np.column_stack([nine.table_NT, *columns]).astype(np.float32),
    )


def _column(name: str, values_N: NDArray[np.float32]) -> NDArray[np.float32]:
    # What a galaxy without a bulge lacks is 0 there: it stays a number, and the bulge fraction says what it means.
    return np.log(np.maximum(values_N, 1e-3)) if name in SKEWED else values_N
