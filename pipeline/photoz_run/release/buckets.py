"""Rows dealt out to numbered files on disk, so that those of one number are read together."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MOST = 512
"""Files open at once; the usual limit of a process is 1024."""


class Buckets:
    """A file for each number, in a folder that must not exist; one that was read is deleted."""

    def __init__(self, folder: Path, number: int) -> None:
        folder.mkdir()
        self._folder = folder
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        self.number = number

    def add(self, table: pa.Table, bucket_N: NDArray[np.intp]) -> None:
        """Append each row of ``table`` to the bucket of its number."""
        order_N = np.argsort(bucket_N, kind="stable")
        numbers, starts = np.unique(bucket_N[order_N], return_index=True)
        ordered = table.take(pa.array(order_N)) if len(numbers) > 1 else table
        stops = [*starts, len(table)][1:]
        for number, start, stop in zip(numbers, starts, stops, strict=True):
            writer = self._writer(int(number), table.schema)
            writer.write_table(ordered.slice(start, stop - start))

    def close(self) -> None:
        """End writing."""
        for writer in self._writers.values():
            writer.close()

    def take(self, number: int) -> pa.Table | None:
        """The rows of one bucket in the order in which they came, ``None`` if there are none."""
        if number not in self._writers:
            return None
        path = self._path(number)
        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
            table = stream.read_all()
        path.unlink()
        return table

    def _writer(self, number: int, schema: pa.Schema) -> pa.ipc.RecordBatchStreamWriter:
        if number not in self._writers:
            self._writers[number] = pa.ipc.new_stream(str(self._path(number)), schema)
        return self._writers[number]

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04d}.arrow"
