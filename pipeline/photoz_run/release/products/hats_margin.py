"""The margin cache of a HATS catalogue: for each partition the rows beside it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.errors import ConfigError
from photoz_run.release.buckets import MOST, Buckets
from photoz_run.release.cells import Cells, whole_sky
from photoz_run.release.products.hats_partitions import PartitionWriter

CELL = "_cell"
"""The column with the cell beside which a row lies, while rows wait on disk."""


class MarginRows:
    """The rows beside each cell of the sky, on disk until all have come.

    The cells are the partitions of the catalogue and those between them, whose neighbours another
    catalogue may have.

    Parameters
    ----------
    cells
        The partitions.
    width
        Of the margin, arcsec.
    folder
        For the rows; made here.

    Raises
    ------
    ConfigError
        If the margin is too wide for the smallest partition.
    """

    def __init__(self, cells: Cells, width: float, folder: Path) -> None:
        self.width = width
        self._sky = whole_sky(cells)
        self._order = margin_order(width, self._sky)
        self._buckets = Buckets(folder, min(MOST, len(self._sky.cell_C)))

    def add(self, rows: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Keep those of the next rows of the catalogue that lie beside cells."""
        row_M, cell_M = self._sky.beside(index_N, self._order)
        beside = rows.take(pa.array(row_M)).append_column(CELL, pa.array(cell_M))
        self._buckets.add(beside, cell_M * self._buckets.number // len(self._sky.cell_C))

    def write(self, partitions: PartitionWriter) -> Cells:
        """Write all rows; the cells that have any. They keep the order in which they came."""
        self._buckets.close()
        written = []
        for cell, rows in self._by_cell():
            written.append(cell)
            partitions.write(self._sky.order_C[cell], self._sky.cell_C[cell], [rows])
        return Cells(self._sky.order_C[written], self._sky.cell_C[written])

    def _by_cell(self) -> Iterator[tuple[int, pa.Table]]:
        for number in range(self._buckets.number):
            rows = self._buckets.take(number)
            if rows is None:
                continue
            cell_N = rows[CELL].to_numpy()
            for cell in np.unique(cell_N):
                yield int(cell), rows.filter(pa.array(cell_N == cell)).drop_columns([CELL])


def margin_order(width: float, sky: Cells) -> int:
    """The order of the finest cells that are wider than the margin, by the estimate of hats.

    Parameters
    ----------
    width
        Of the margin, arcsec.
    sky
        The partitions, and the cells between them.

    Raises
    ------
    ConfigError
        If the margin is too wide for the smallest partition.
    """
    from hats.pixel_math.healpix_shim import margin2order, order2mindist

    order, finest = int(margin2order(width / 60)), int(sky.order_C.max()) + 1
    if order < finest:
        widest = int(60 * order2mindist(finest))
        raise ConfigError(
            f"--margin {width:g}: too wide for the smallest HATS partition; give at most {widest}"
        )
    return order
