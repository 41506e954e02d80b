"""Redshift distributions as quantiles: read from a catalogue, and made fit for `qp`."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.catalogue.table import QUANTILES
from photoz_run.errors import ConfigError

POINT_ESTIMATE = "Z_PHOT"
LEAST_STEP = 1e-4
"""Least difference of neighbouring quantiles in the PDFs.

qp draws a parabola through each three quantiles; nearer ones make it leave the range 0..1. The
step is far below any photometric error: only quantiles cut off at the ends of a model's range
come so near to each other.
"""


def quantile_levels(fields: pa.Schema) -> list[float]:
    """The levels of the quantiles of a run, from the metadata of their field.

    Raises
    ------
    ConfigError
        If the run wrote no quantiles.
    """
    if QUANTILES not in fields.names:
        raise ConfigError(
            f"the run has no quantiles (column {QUANTILES}), so that no PDFs can be written;"
            " measure it again with --quantiles, or leave --pdf out"
        )
    metadata = fields.field(QUANTILES).metadata or {}
    levels = metadata.get(b"levels", b"").decode()
    return [float(level) for level in levels.split(",")]


def quantile_matrix(quantiles: pa.ChunkedArray) -> NDArray[np.float32]:
    """The lists of a column side by side, [N, Q]; NaN where a list is null, or holds nulls."""
    lists = quantiles.combine_chunks()
    width = lists.type.list_size
    elements = lists.values.slice(lists.offset * width, len(lists) * width)
    values = elements.to_numpy(zero_copy_only=False)
    matrix_NQ = np.array(values, np.float32).reshape(-1, width)
    matrix_NQ[lists.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return matrix_NQ


def moved_apart(
    quantiles_NQ: NDArray[np.float32], levels_Q: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Quantiles at least `LEAST_STEP` apart, and the rows that had to be changed for it.

    The quantile nearest to the median stays. Going outwards from it, each quantile that is too
    near to the one before is moved on.
    """
    middle = int(np.argmin(np.abs(levels_Q - 0.5)))
    upper_NQ = quantiles_NQ[:, middle:].astype(np.float64)
    lower_NQ = quantiles_NQ[:, middle::-1].astype(np.float64)
    raised_NQ = _climbing(upper_NQ)
    lowered_NQ = -_climbing(-lower_NQ)[:, ::-1]
    apart_NQ = np.concatenate([lowered_NQ, raised_NQ[:, 1:]], axis=1).astype(np.float32)
    return apart_NQ, (apart_NQ != quantiles_NQ).any(axis=1)


def _climbing(values_NQ: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value at least `LEAST_STEP` above the one before it, raised where needed."""
    ramp_Q = LEAST_STEP * np.arange(values_NQ.shape[1])
    return np.asarray(np.maximum.accumulate(values_NQ - ramp_Q, axis=1) + ramp_Q)
