"""Conformal calibration of quantiles: numpy in, a constant matrix of the graph out."""

import numpy as np
from numpy.typing import NDArray

FURTHEST = 20.0
"""A true value counts as at most this far in level beyond the outermost quantiles.

Quantiles that a limit of redshift has pushed together would put it infinitely far. Intervals that
are three times too narrow and a width off put it 5 beyond.
"""


def level_matrix(
    quantiles_NQ: NDArray[np.floating],
    true_N: NDArray[np.floating],
    levels: tuple[float, ...],
    weight_N: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Matrix M such that the calibrated quantiles are ``quantiles_NQ @ M.T``.

    Each galaxy's true value lies at some level of its own predicted quantile function. That is
    linear between the quantiles, and goes on so beyond the outermost two. For every level of the
    output, M asks the network for the conformal quantile of these levels over the calibration
    galaxies: a share ``level`` of such galaxies then lies below. A piecewise linear function at one
    level is a weighted sum of two quantiles, a row of M. Rows go up, so quantiles cannot cross.

    Parameters
    ----------
    quantiles_NQ, true_N
        Predicted quantiles and true values of the calibration galaxies.
    levels
        Levels of the quantiles, increasing.
    weight_N
        How much each galaxy counts, 1 at most; without it, all count alike.
    """
    levels_Q = np.array(levels)
    level_N = _level_reached(quantiles_NQ.astype(np.float64), true_N.astype(np.float64), levels_Q)
    order_N = np.argsort(level_N, kind="stable")
    weight_N = np.ones(len(level_N)) if weight_N is None else weight_N
    # One more galaxy than there are: the promise is to hold for the next one, not only for these.
    share_N = np.cumsum(weight_N[order_N]) / (weight_N.sum() + 1)
    wanted_Q = np.interp(levels_Q, share_N, level_N[order_N])
    matrix_QQ = np.zeros((len(levels), len(levels)))
    segment_Q = np.clip(np.searchsorted(levels_Q, wanted_Q) - 1, 0, len(levels) - 2)
    share_Q = (wanted_Q - levels_Q[segment_Q]) / (levels_Q[segment_Q + 1] - levels_Q[segment_Q])
    rows = np.arange(len(levels))
    matrix_QQ[rows, segment_Q] = 1 - share_Q
    matrix_QQ[rows, segment_Q + 1] = share_Q
    return matrix_QQ


def _level_reached(
    quantiles_NQ: NDArray[np.float64], true_N: NDArray[np.float64], levels_Q: NDArray[np.float64]
) -> NDArray[np.float64]:
    rows = np.arange(len(true_N))
    below_N = (quantiles_NQ < true_N[:, None]).sum(axis=1)
    segment_N = np.clip(below_N - 1, 0, len(levels_Q) - 2)
    low_N, high_N = quantiles_NQ[rows, segment_N], quantiles_NQ[rows, segment_N + 1]
    share_N = (true_N - low_N) / np.maximum(high_N - low_N, 1e-9)
    width_N = levels_Q[segment_N + 1] - levels_Q[segment_N]
    level_N = levels_Q[segment_N] + share_N * width_N
    return np.asarray(np.clip(level_N, levels_Q[0] - FURTHEST, levels_Q[-1] + FURTHEST))
