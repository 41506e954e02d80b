"""The margin cache of a HATS collection, which repeats rows of the catalogue."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.release.proof.check import Check, as_many, verdict
from photoz_run.release.proof.compare import unequal
from photoz_run.release.proof.hats_partitions import partitions, read_properties
from photoz_run.release.rows import INDEX, parquet_rows


class MarginCopy:
    """The rows of a margin cache, all of them in memory, and those of Parquet with the same IDs.

    A margin cache repeats rows of the catalogue, each beside the cell of a neighbour.
    """

    def __init__(self, margin: Path) -> None:
        self._stated = int(read_properties(margin / "properties")["hats_nrows"])
        self._inside = 0
        tables = []
        for partition in partitions(margin):
            for table in parquet_rows([partition.path]):
                self._inside += len(table) - partition.outside(table)
                tables.append(table)
        self._rows = pa.concat_tables(tables) if tables else None
        self._index_M = np.empty(0, np.int64)
        if self._rows is not None:
            self._index_M = np.unique(self._rows[INDEX].to_numpy())
        self._same: list[pa.Table] = []

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Keep those of the next rows that lie where the margin cache has rows."""
        wanted_N = _among(index_N, self._index_M)
        if wanted_N.any():
            kept = batch.append_column(INDEX, pa.array(index_N))
            self._same.append(kept.filter(pa.array(wanted_N)))

    def checks(self) -> Iterator[Check]:
        """Rows, cells and values."""
        number = 0 if self._rows is None else len(self._rows)
        yield as_many("rows of the margin cache", number, self._stated)
        problems = self._differences()
        if self._inside:
            problems.insert(0, f"{self._inside:,} rows lie in the cell that they should lie beside")
        yield verdict("margin cache = Parquet", problems, f"{number:,} rows, value by value")

    def _differences(self) -> list[str]:
        if self._rows is None:
            return []
        if not self._same:
            return ["none of its rows stands in Parquet"]
        same = pa.concat_tables(self._same)
        place = pc.index_in(self._rows["ID"], value_set=same["ID"].combine_chunks())
        if place.null_count:
            return [f"{place.null_count:,} rows do not stand in Parquet"]
        expected = same.take(place)
        problems = []
        for name in expected.column_names:
            number = int(unequal(self._rows[name], expected[name]).sum())
            if number:
                problems.append(f"{name} differs in {number:,} rows")
        return problems


def _among(index_N: NDArray[np.int64], index_M: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the indices are among M, which are in order and each there once."""
    near_M = index_M[slice(*np.searchsorted(index_M, (index_N.min(), index_N.max() + 1)))]
    if not len(near_M):
        return np.zeros(len(index_N), bool)
    place_N = np.searchsorted(near_M, index_N)
    return np.asarray(near_M[np.minimum(place_N, len(near_M) - 1)] == index_N, np.bool_)
