"""The margin cache of a HATS catalogue: rows of the catalogue again, each beside the cell of a neighbour."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.release.merge import INDEX
from photoz_run.release.proof.carried import read_properties
from photoz_run.release.proof.check import Check, verdict
from photoz_run.release.proof.copies import counted, unequal
from photoz_run.release.proof.identity import numbers
from photoz_run.release.proof.streams import parquet_rows, partitions, strangers


class MarginCopy:
    """The rows of a margin cache, all of them in memory, and those of Parquet with the same IDs."""

    def __init__(self, margin: Path) -> None:
        self._stated = int(read_properties(margin / "properties")["hats_nrows"])
        self._inside = 0
        tables = []
        for partition in partitions(margin):
            for table in parquet_rows([partition.path]):
                self._inside += len(table) - strangers(table, partition)
                tables.append(table)
        self._rows = pa.concat_tables(tables) if tables else None
        self._number_M = (
            np.unique(numbers(self._rows["ID"]))
            if self._rows is not None
            else np.empty(0, np.uint64)
        )
        self._same: list[pa.Table] = []

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Keep those of the next rows that stand in the margin cache."""
        if not len(self._number_M):
            return
        number_N = numbers(batch["ID"])
        place_N = np.minimum(np.searchsorted(self._number_M, number_N), len(self._number_M) - 1)
        wanted_N = self._number_M[place_N] == number_N
        if wanted_N.any():
            kept = batch.append_column(INDEX, pa.array(index_N))
            self._same.append(kept.filter(pa.array(wanted_N)))

    def checks(self) -> Iterator[Check]:
        """Rows, cells and values."""
        number = 0 if self._rows is None else len(self._rows)
        yield counted("rows of the margin cache", number, self._stated)
        astray = (
            [f"{self._inside:,} rows lie in the cell that they should lie beside"]
            if self._inside
            else []
        )
        yield verdict(
            "margin cache = Parquet",
            astray + self._differences(),
            f"{number:,} rows, value by value",
        )

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
        columns = {
            name: int(unequal(self._rows[name], expected[name]).sum())
            for name in expected.column_names
        }
        return [f"{name} differs in {number:,} rows" for name, number in columns.items() if number]
