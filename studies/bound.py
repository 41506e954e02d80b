"""The information bound of a simulated set: no network that reads stamps should beat it.

A network is given the nine magnitudes and, in place of the stamps, what stamps could tell at best:
the true structure of each galaxy, free of noise, and its total magnitudes with the least noise
that a measurement of known profile has. A second bound does not know which share of the light is
in clumps: they are smaller than the seeing, and stamps show them at best in part.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_models.contract import QUANTILE_LEVELS
from photoz_models.examples import Examples, Split
from photoz_models.export import seal
from photoz_models.golden import Outputs
from photoz_models.network import Architecture
from photoz_models.stamp_rule import MAGNITUDE_BANDS
from photoz_models.training import evaluate, train
from photoz_models.training_settings import Settings
from photoz_run.errors import ConfigError
from photoz_run.training.comparison import Row, measure
from studies.page import BLIND_BOUND, BOUND
from studies.structure import CLUMPS, STRUCTURE_FILE

MEMBERS = 3
SETTINGS = Settings(epochs=20, batch=256, lost_magnitudes=0.0)
DENSE = 256

SKEWED = ("bulge_radius", "disc_radius", "sersic")
"""Columns whose logarithm is given; the others are shares, ratios or magnitudes."""


def bound_rows(
    training: Examples, split: Split, test: Examples, rows_N: NDArray[np.int64]
) -> list[Row]:
    """Rows of the information bound and of the one that does not see clumps, as `bound_row`."""
    seen = tuple(name for name in training.facts.columns if name != CLUMPS)
    blind_training, blind_test = training.narrowed((), seen), test.narrowed((), seen)
    return [
        bound_row(BOUND, training, split, test, rows_N),
        bound_row(BLIND_BOUND, blind_training, split, blind_test, rows_N),
    ]


def bound_row(
    name: str, training: Examples, split: Split, test: Examples, rows_N: NDArray[np.int64]
) -> Row:
    """Train a bound's ensemble on one set and measure it on another.

    Parameters
    ----------
    training, test
        Sets with `with_structure`. The first is divided by ``split``.
    rows_N
        Rows of ``test`` to measure on.
    """
    outputs = bound_outputs(training, split, test, rows_N, MEMBERS)
    true_z_N = np.array(test.z_N[rows_N])
    return Row(name, measure(outputs, true_z_N, test.tile_N[rows_N], QUANTILE_LEVELS))


def bound_outputs(
    training: Examples, split: Split, test: Examples, rows_N: NDArray[np.int64], members: int
) -> Outputs:
    """What so many networks, trained on one set, say of another in the mean: see `bound_row`."""
    architecture = Architecture("bound", (), training.facts.columns, dense=DENSE)
    networks = []
    for seed in range(1, members + 1):
        settings = SETTINGS.model_copy(update={"seed": seed})
        network, _ = train(architecture, training, split, settings)
        networks.append(network)
    return evaluate(seal(networks, training, split), test, rows_N)


def with_structure(examples: Examples, folder: Path) -> Examples:
    """The set without stamps; structure and totals are further columns after nine magnitudes.

    Raises
    ------
    ConfigError
        If the ``structure.parquet`` in ``folder`` is not of these galaxies.
    """
    truth = pq.read_table(folder / STRUCTURE_FILE)
    if len(truth) != len(examples):
        raise ConfigError(
            f"{folder}: {STRUCTURE_FILE} has {len(truth)} rows,"
            f" the set {len(examples)}; make it again"
        )
    columns = [_column(name, truth[name].to_numpy()) for name in truth.column_names]
    nine = examples.narrowed((), MAGNITUDE_BANDS)
    table_NT = np.column_stack([nine.table_NT, *columns]).astype(np.float32)
    facts = replace(nine.facts, further_columns=tuple(truth.column_names))
    return replace(nine, facts=facts, table_NT=table_NT)


def _column(name: str, values_N: NDArray[np.float32]) -> NDArray[np.float32]:
    # The radius of a bulge that is not there is 0; the bulge fraction says so, too.
    return np.log(np.maximum(values_N, 1e-3)) if name in SKEWED else values_N
