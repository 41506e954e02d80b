"""HEALPix cells of several orders that hold a catalogue, as HATS divides the sky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from photoz_run.release.sky import ORDER

MAP_ORDER = 10
"""Order of the cells in which rows are counted, 3.4 arcmin wide; no partition is smaller."""

Pairs: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Numbers of rows, and for each the number of a cell."""


@dataclass(frozen=True)
class Cells:
    """Cells that do not overlap, in the order of the sky.

    Parameters
    ----------
    order_C, cell_C
        Order and number (NESTED) of each; int64.
    """

    order_C: NDArray[np.int64]
    cell_C: NDArray[np.int64]

    @property
    def first_C(self) -> NDArray[np.int64]:
        """The first index of order 29 in each."""
        return self.cell_C << 2 * (ORDER - self.order_C)

    def holding(self, index_N: NDArray[np.int64]) -> NDArray[np.intp]:
        """The number of the cell in which each index of order 29 lies; all must lie in one."""
        return np.searchsorted(self.first_C, index_N, side="right") - 1

    def beside(self, index_N: NDArray[np.int64], order: int) -> Pairs:
        """The indices that lie beside other cells: their numbers, and those of the cells.

        An index lies beside a cell if its own cell of ``order`` touches that cell from outside.
        An index may lie beside several. The cells must cover the sky, and be larger than those of
        ``order``.
        """
        from cdshealpix.nested import neighbours

        fine_U, place_N = np.unique(index_N >> 2 * (ORDER - order), return_inverse=True)
        near_U9 = neighbours(fine_U, order, num_threads=1)
        own_U = self.holding(fine_U << 2 * (ORDER - order))
        # At a corner of the sky's twelve base cells a neighbour is lacking: -1.
        near_U9 = np.where(near_U9 < 0, fine_U[:, None], near_U9)
        cell_U9 = np.sort(self.holding(near_U9 << 2 * (ORDER - order)), axis=1)
        other_U9 = cell_U9 != own_U[:, None]
        other_U9[:, 1:] &= cell_U9[:, 1:] != cell_U9[:, :-1]
        row_M, side_M = np.nonzero(other_U9[place_N])
        return row_M, cell_U9[place_N[row_M], side_M]


def empty_counts() -> NDArray[np.int64]:
    """No rows in any cell of `MAP_ORDER`."""
    return np.zeros(12 << 2 * MAP_ORDER, np.int64)


def count_rows(count_K: NDArray[np.int64], index_N: NDArray[np.int64]) -> None:
    """Add the rows at these indices of order 29 to the counts in cells of `MAP_ORDER`."""
    cell_U, number_U = np.unique(index_N >> 2 * (ORDER - MAP_ORDER), return_counts=True)
    count_K[cell_U] += number_U


def partition_cells(count_K: NDArray[np.int64], most: int) -> Cells:
    """Divide a catalogue into cells of at most ``most`` rows, as hats-import 0.11 does.

    Four cells become one from the bottom up, while it has at most ``most`` rows and more than one
    of the four has any. The bottom is the coarsest order, from 1 on, in which no cell has more
    than ``most`` rows. A cell of the order of ``count_K`` is never divided.

    Parameters
    ----------
    count_K
        Rows in each cell of one order.
    most
        Rows of a cell.

    Returns
    -------
    Cells
        Those that have rows.
    """
    sums = [count_K]
    while len(sums[0]) > len(BASE):
        sums.insert(0, sums[0].reshape(-1, 4).sum(axis=1))
    fitting = [order for order in range(1, len(sums)) if sums[order].max() <= most]
    bottom = min(fitting, default=len(sums) - 1)
    order_B = np.full(len(sums[bottom]), bottom, np.int64)
    for order in range(bottom - 1, -1, -1):
        several = sums[order + 1].reshape(-1, 4).max(axis=1) < sums[order]
        merged = several & (sums[order] <= most)
        order_B.reshape(len(merged), -1)[merged] = order
    held_B = np.flatnonzero(sums[bottom])
    order_H = order_B[held_B]
    cell_H = held_B >> 2 * (bottom - order_H)
    _, once = np.unique(cell_H << 2 * (bottom - order_H), return_index=True)
    return Cells(order_H[once], cell_H[once])


def whole_sky(cells: Cells) -> Cells:
    """The cells, and the fewest others that fill the sky between them."""
    order_F, cell_F = [cells.order_C], [cells.cell_C]
    open_F = BASE
    for order in range(ORDER + 1):
        shift_C = 2 * (cells.order_C - order)
        within_C = cells.cell_C[shift_C >= 0] >> shift_C[shift_C >= 0]
        empty_F = open_F[~np.isin(open_F, within_C)]
        order_F.append(np.full(len(empty_F), order))
        cell_F.append(empty_F)
        finer_C = cells.cell_C[shift_C > 0] >> shift_C[shift_C > 0]
        divided_F = np.unique(finer_C)
        if not len(divided_F):
            break
        open_F = (4 * divided_F[:, None] + np.arange(4)).ravel()
    every = Cells(np.concatenate(order_F), np.concatenate(cell_F))
    place = np.argsort(every.first_C)
    return Cells(every.order_C[place], every.cell_C[place])


BASE = np.arange(12)
"""The cells of order 0."""
