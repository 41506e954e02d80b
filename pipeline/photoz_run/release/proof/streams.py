"""The rows of each product as a stream, in the order of the release, some thousands at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from re import search
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from numpy.typing import NDArray

from photoz_run.release.merge import BATCH, INDEX
from photoz_run.release.sky import ORDER


def parquet_rows(parts: Iterable[Path], columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of Parquet files, one file after the other."""
    for part in parts:
        with pq.ParquetFile(part, page_checksum_verification=True) as file:
            for batch in file.iter_batches(BATCH, columns=columns):
                yield pa.Table.from_batches([batch])


class ArrowStream:
    """Rows of tables of any size, taken in any number."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables = tables
        self._held: pa.Table | None = None

    def take(self, number: int) -> pa.Table | None:
        """The next ``number`` rows, fewer at the end, ``None`` if there was nothing at all."""
        while self._held is None or len(self._held) < number:
            more = next(self._tables, None)
            if more is None:
                break
            self._held = more if self._held is None else pa.concat_tables([self._held, more])
        if self._held is None:
            return None
        taken, self._held = self._held.slice(0, number), self._held.slice(number)
        return taken

    def rest(self) -> int:
        """How many rows are left; they are read."""
        held = 0 if self._held is None else len(self._held)
        return held + sum(len(table) for table in self._tables)


class FitsStream:
    """The records of a FITS table as they lie in the file, read without any library's idea of what is missing."""

    def __init__(self, path: Path, table: str) -> None:
        with fits.open(path) as hdus:
            hdu = hdus[table]
            self.header = hdu.header
            self.dtype = np.dtype(hdu.columns.dtype).newbyteorder(">")
            start = hdu.fileinfo()["datLoc"]
        if self.dtype.itemsize != self.header["NAXIS1"]:
            raise ValueError(
                f"rows of {self.header['NAXIS1']} bytes, but columns of {self.dtype.itemsize}"
            )
        self.nulls = {
            self.header[f"TTYPE{k}"]: self.header.get(f"TNULL{k}")
            for k in range(1, self.header["TFIELDS"] + 1)
        }
        self.rows = int(self.header["NAXIS2"])
        self._left = self.rows
        self._file = path.open("rb")
        self._file.seek(start)

    def take(self, number: int) -> NDArray[Any]:
        """The next ``number`` records, fewer at the end."""
        number = min(number, self._left)
        self._left -= number
        return np.fromfile(self._file, self.dtype, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


@dataclass(frozen=True)
class Partition:
    """A file of a HATS catalogue and the HEALPix cell whose rows it holds."""

    path: Path
    order: int
    cell: int

    @property
    def first(self) -> int:
        """The first index of order 29 in the cell."""
        return self.cell << 2 * (ORDER - self.order)

    @property
    def stop(self) -> int:
        """The first index of order 29 behind it."""
        return (self.cell + 1) << 2 * (ORDER - self.order)


def partitions(catalogue: Path) -> list[Partition]:
    """The partitions of a HATS catalogue in the order of their cells.

    Raises
    ------
    ValueError
        If a file's path does not say its cell.
    """
    found = []
    for path in sorted((catalogue / "dataset").rglob("*.parquet")):
        match = search(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)\.parquet$", path.as_posix())
        if match is None:
            raise ValueError(f"{path.name} names no HEALPix cell")
        found.append(Partition(path, int(match[1]), int(match[2])))
    return sorted(found, key=lambda one: one.first)


def strangers(rows: pa.Table, partition: Partition) -> int:
    """How many rows of a partition lie outside its cell by their HEALPix index."""
    index_N = rows[INDEX].to_numpy()
    return int(np.count_nonzero((index_N < partition.first) | (index_N >= partition.stop)))
