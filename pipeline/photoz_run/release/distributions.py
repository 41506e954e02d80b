"""Redshift distributions as quantiles: read from a catalogue, and made fit for `qp`."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.catalogue.table import QUANTILES
from photoz_run.errors import ConfigError

POINT_ESTIMATE = "Z_PHOT"
KIND = "interp_irregular"
"""What qp calls distributions that are each interpolated between redshifts of their own."""
LEAST_STEP = 1e-4
"""Least difference of neighbouring quantiles in the PDFs, so that no density is infinite.

The step is far below any photometric error: only quantiles cut off at the ends of a model's range
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


def density_steps(
    apart_NQ: NDArray[np.float32],
    levels_Q: NDArray[np.float64],
    ends: tuple[float, float] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Densities that are constant between quantiles, as redshifts and densities to interpolate.

    A density is the probability between two quantiles over their distance, so that the integral up
    to a quantile is its level, whether it is summed by rectangles or by trapezia. The steps are
    drawn with two redshifts next to each other in float32.

    Parameters
    ----------
    apart_NQ
        Quantiles, [N, Q], from `moved_apart`.
    levels_Q
        Their levels.
    ends
        The model's range of redshift, in which the tails end; ``None`` if it is not known.

    Returns
    -------
    x_NK, density_NK
        Redshifts and densities, [N, 2 Q + 2].
    """
    level_E = np.concatenate([[0.0], levels_Q, [1.0]])
    edge_NE = _with_tails(apart_NQ, levels_Q, ends or (-np.inf, np.inf))
    density_NB = np.diff(level_E) / np.diff(edge_NE.astype(np.float64), axis=1)
    start_NB = np.nextafter(edge_NE[:, :-1], np.float32(np.inf))
    start_NB[:, 0] = edge_NE[:, 0]
    x_NB2 = np.stack([start_NB, edge_NE[:, 1:]], axis=2)
    x_NK = x_NB2.reshape(len(edge_NE), 2 * len(level_E) - 2).astype(np.float64)
    # Numbers of float32 in float64: qp needs the room for its sums, and they pack well.
    density_NK = np.repeat(density_NB.astype(np.float32), 2, axis=1).astype(np.float64)
    return x_NK, density_NK


def _with_tails(
    apart_NQ: NDArray[np.float32], levels_Q: NDArray[np.float64], ends: tuple[float, float]
) -> NDArray[np.float32]:
    """The quantiles with the redshifts at which the distribution starts and ends, [N, Q + 2].

    A tail is as dense as the distribution beside it, unless the model's range ends before.
    """
    wide_NQ = apart_NQ.astype(np.float64)
    first_N, last_N = wide_NQ[:, 0], wide_NQ[:, -1]
    below_N = (wide_NQ[:, 1] - first_N) * levels_Q[0] / (levels_Q[1] - levels_Q[0])
    above_N = (last_N - wide_NQ[:, -2]) * (1 - levels_Q[-1]) / (levels_Q[-1] - levels_Q[-2])
    start_N = np.minimum(np.maximum(first_N - below_N, ends[0]), first_N - LEAST_STEP)
    stop_N = np.maximum(np.minimum(last_N + above_N, ends[1]), last_N + LEAST_STEP)
    edges_NE = np.concatenate([start_N[:, None], wide_NQ, stop_N[:, None]], axis=1)
    return edges_NE.astype(np.float32)


def _climbing(values_NQ: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value at least `LEAST_STEP` above the one before it, raised where needed."""
    ramp_Q = LEAST_STEP * np.arange(values_NQ.shape[1])
    return np.asarray(np.maximum.accumulate(values_NQ - ramp_Q, axis=1) + ramp_Q)
