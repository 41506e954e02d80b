"""Intervals from quantiles."""

import numpy as np
from numpy.typing import NDArray

SAME = 1e-9
"""Levels nearer to each other are the same: files hold them as rounded numbers."""


def quantile_at(
    level: float, levels_Q: NDArray[np.floating], quantiles_NQ: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The quantile at ``level``, linear between the two neighbouring levels.

    NaN if the levels do not reach it.
    """
    if not len(levels_Q) or level < levels_Q[0] - SAME or level > levels_Q[-1] + SAME:
        return np.full(len(quantiles_NQ), np.nan, np.float32)
    right = min(int(np.searchsorted(levels_Q, level - SAME)), len(levels_Q) - 1)
    if right == 0 or abs(levels_Q[right] - level) < SAME:
        return quantiles_NQ[:, right].astype(np.float32)
    left = right - 1
    weight = (level - levels_Q[left]) / (levels_Q[right] - levels_Q[left])
    value_N = (1 - weight) * quantiles_NQ[:, left] + weight * quantiles_NQ[:, right]
    return np.asarray(value_N, np.float32)


LEAST_WIDTH = 1e-4
"""Of the step between two quantiles: far below any photometric error, so that none is infinite."""
LEAST_STEP, TAIL = 0.1, 0.1
"""Of levels between the tails, and the probability in each of them."""


def density_polygon(
    levels_Q: NDArray[np.floating], quantiles_Q: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A distribution as a curve of straight lines, for the eye.

    Between two quantiles the density is the step in probability over the step in redshift, which
    is set in the middle between them. Beyond the outermost quantiles it falls to zero within
    another such step. In the middle, levels nearer to each other than `LEAST_STEP` are passed over:
    their differences are those of two numbers that are nearly equal.

    Returns
    -------
    z_K, density_K
        The corners, the density zero at both ends.
    """
    kept = _apart(levels_Q)
    levels_Q, quantiles_Q = levels_Q[kept], quantiles_Q[kept]
    width = np.maximum(np.diff(quantiles_Q.astype(np.float64)), LEAST_WIDTH)
    density = np.diff(levels_Q) / width
    middle = quantiles_Q[:-1] + width / 2
    ends = [quantiles_Q[0] - width[0]], [quantiles_Q[-1] + width[-1]]
    return np.concatenate([ends[0], middle, ends[1]]), np.concatenate([[0.0], density, [0.0]])


def _apart(levels_Q: NDArray[np.floating]) -> list[int]:
    """Levels of the tails, and of those between them some that are far enough apart."""
    kept = [0]
    for k, level in enumerate(levels_Q[1:-1], 1):
        tail = level < TAIL or level > 1 - TAIL
        if tail or level - levels_Q[kept[-1]] >= LEAST_STEP - 1e-6 or levels_Q[kept[-1]] < TAIL:
            kept.append(k)
    return [*kept, len(levels_Q) - 1] if len(levels_Q) > 1 else kept
