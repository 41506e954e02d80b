"""Distributions of residuals in cells, and their quantiles: what a bootstrap of many galaxies adds.

Counts in cells add up over groups, order statistics do not. The cells are narrow at the centre and
grow with the distance from it, so that core and tails are resolved alike.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photoz_models.robust import SMAD_FACTOR
from photoz_run.science.statistics import Floats, median, smad

CELLS = 512
CORE = 0.3
"""Cells are even up to this many SMAD from the centre, and grow with the distance beyond."""
BISECTIONS = 12
CHUNK = 1 << 20


@dataclass(frozen=True)
class ResidualCells:
    """`CELLS` cells between ``edges_K``, even in arcsinh((x - centre) / scale)."""

    centre: float
    scale: float
    first: float
    width: float

    @cached_property
    def edges_K(self) -> Floats:
        """The edges of the cells, one more than there are cells."""
        steps = self.first + self.width * np.arange(CELLS + 1)
        return np.asarray(self.centre + self.scale * np.sinh(steps))

    def of(self, x_N: ArrayLike) -> NDArray[np.int16]:
        """The cell of each value; what lies outside counts to the outermost."""
        x = np.asarray(x_N, np.float64)
        cell_N = np.empty(len(x), np.int16)
        # A piece at a time: of twenty million values each step makes 160 MB.
        for start in range(0, len(x), CHUNK):
            part = slice(start, start + CHUNK)
            step_N = (self._stretched(x[part]) - self.first) / self.width
            cell_N[part] = np.fmax(np.fmin(step_N, CELLS - 1), 0)
        return cell_N

    def smad(self, share_RK: Floats) -> Floats:
        """The scaled median absolute deviation of each row of `cumulated` counts."""
        below_R, centre_R, above_R = (self.quantile(share_RK, q) for q in (0.25, 0.5, 0.75))
        # Within the nearer quartile lies half of a row at most, within the farther one at least.
        low_R = np.minimum(above_R - centre_R, centre_R - below_R)
        high_R = np.maximum(above_R - centre_R, centre_R - below_R)
        for _ in range(BISECTIONS):
            middle_R = (low_R + high_R) / 2
            inside_R = self._within(share_RK, centre_R, middle_R)
            low_R = np.where(inside_R < 0.5, middle_R, low_R)
            high_R = np.where(inside_R < 0.5, high_R, middle_R)
        return np.asarray(SMAD_FACTOR * (low_R + high_R) / 2)

    def fraction_beyond(self, share_RK: Floats, centre_R: Floats, limit_R: Floats) -> Floats:
        """The fraction of each row that lies further than ``limit_R`` from ``centre_R``."""
        return np.asarray(1 - self._within(share_RK, centre_R, limit_R))

    def _within(self, share_RK: Floats, centre_R: Floats, limit_R: Floats) -> Floats:
        """The share of each row that lies between ``centre_R - limit_R`` and the sum."""
        below_R, above_R = self._below(share_RK, np.stack([centre_R - limit_R, centre_R + limit_R]))
        return np.asarray(above_R - below_R)

    def _stretched(self, x: ArrayLike) -> Floats:
        return np.asarray(np.arcsinh((np.asarray(x, np.float64) - self.centre) / self.scale))

    def quantile(self, share_RK: Floats, level: float) -> Floats:
        """Where each row of `cumulated` counts reaches ``level``, linear within a cell.

        NaN where a row is empty.
        """
        rows = np.arange(len(share_RK))
        k_R = np.clip((share_RK < level).sum(axis=1), 1, CELLS)
        below_R, above_R = share_RK[rows, k_R - 1], share_RK[rows, k_R]
        with np.errstate(invalid="ignore", divide="ignore"):
            part_R = (level - below_R) / (above_R - below_R)
        edges = self.edges_K
        return np.asarray(edges[k_R - 1] + part_R * (edges[k_R] - edges[k_R - 1]))

    def _below(self, share_RK: Floats, x_R: Floats) -> Floats:
        """The share of each row that lies below ``x_R`` (..., R), linear within a cell."""
        step_R = (self._stretched(x_R) - self.first) / self.width
        # Rows without a value are NaN all along: any cell will do.
        k_R = np.fmax(np.fmin(step_R, CELLS - 1), 0).astype(np.intp)
        edges = self.edges_K
        part_R = np.clip((x_R - edges[k_R]) / (edges[k_R + 1] - edges[k_R]), 0, 1)
        rows = np.arange(len(share_RK))
        return np.asarray(
            share_RK[rows, k_R] + part_R * (share_RK[rows, k_R + 1] - share_RK[rows, k_R])
        )


def cells_for(x_N: ArrayLike) -> ResidualCells:
    """Cells that hold all the values, with their core at the median."""
    x = np.asarray(x_N, np.float64)
    x = x[np.isfinite(x)]
    if not len(x):
        return ResidualCells(0.0, 1.0, -1.0, 2.0 / CELLS)
    # The core of two hundred thousand values is that of all.
    some = x[:: max(1, len(x) // 200_000)]
    centre, spread = float(median(some)), float(smad(some))
    # Values that are all alike still need cells of some width.
    scale = CORE * max(spread, 1e-6 * max(1.0, abs(centre)))
    low, high = np.arcsinh((np.array([x.min(), x.max()]) - centre) / scale)
    margin = 0.5 * (high - low) / CELLS + 1e-3
    first = float(low - margin)
    return ResidualCells(centre, scale, first, float(high + margin - first) / CELLS)


def cumulated(count_RK: Floats) -> Floats:
    """Cumulated share of the cells of each row, from 0 to 1; NaN for an empty row."""
    total_R = count_RK.sum(axis=1, keepdims=True)
    share_RK = np.empty((len(count_RK), count_RK.shape[1] + 1))
    share_RK[:, :1] = np.where(total_R > 0, 0, np.nan)
    np.cumsum(count_RK, axis=1, out=share_RK[:, 1:])
    with np.errstate(invalid="ignore", divide="ignore"):
        share_RK[:, 1:] /= total_R
    return share_RK
