"""Intervals from quantiles."""

import numpy as np
from numpy.typing import NDArray


def quantile_at(
    level: float, levels_Q: NDArray[np.floating], quantiles_NQ: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The quantile at ``level``, linear between the two neighbouring levels.

    NaN if the levels do not reach it.
    """
    if len(levels_Q) == 0 or not levels_Q[0] - 1e-9 <= level <= levels_Q[-1] + 1e-9:
        return np.full(len(quantiles_NQ), np.nan, np.float32)
    right = int(np.clip(np.searchsorted(levels_Q, level - 1e-9), 0, len(levels_Q) - 1))
    left = max(0, right - 1)
    if left == right or abs(levels_Q[right] - level) < 1e-9:
        return quantiles_NQ[:, right].astype(np.float32)
    weight = (level - levels_Q[left]) / (levels_Q[right] - levels_Q[left])
    value_N = (1 - weight) * quantiles_NQ[:, left] + weight * quantiles_NQ[:, right]
    return np.asarray(value_N, np.float32)
