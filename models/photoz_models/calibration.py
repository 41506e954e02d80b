"""Conformal calibration of quantiles: numpy in, a constant matrix of the graph out."""

import numpy as np
from numpy.typing import NDArray


def level_matrix(
    quantiles_NQ: NDArray[np.float32], true_N: NDArray[np.float32], levels: tuple[float, ...]
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
    """
    levels_Q = np.array(levels)
    level_N = _level_reached(quantiles_NQ.astype(np.float64), true_N.astype(np.float64), levels_Q)
    reached_N = np.sort(level_N)
    # The (n+1)-th in place of n makes the promise hold for the next galaxy, not only for these.
    ranks_Q = np.clip(levels_Q * (len(reached_N) + 1) - 1, 0, len(reached_N) - 1)
    wanted_Q = np.interp(ranks_Q, np.arange(len(reached_N)), reached_N)
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
    level_N: NDArray[np.float64] = levels_Q[segment_N] + share_N * width_N
    return level_N
