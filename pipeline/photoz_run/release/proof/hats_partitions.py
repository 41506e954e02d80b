"""The files of a HATS catalogue: its partitions and its properties."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from photoz_run.release.rows import INDEX
from photoz_run.release.sky import ORDER


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
        """The first index of order 29 behind the cell."""
        return (self.cell + 1) << 2 * (ORDER - self.order)

    def outside(self, rows: pa.Table) -> int:
        """How many rows lie outside the cell by their HEALPix index."""
        index_N = rows[INDEX].to_numpy()
        return int(np.count_nonzero((index_N < self.first) | (index_N >= self.stop)))


def partitions(catalogue: Path) -> list[Partition]:
    """The partitions of a HATS catalogue in the order of their cells.

    Raises
    ------
    ValueError
        If a file's path does not say its cell.
    """
    cells = []
    for path in sorted((catalogue / "dataset").rglob("*.parquet")):
        match = re.search(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)\.parquet$", path.as_posix())
        if match is None:
            raise ValueError(f"{path.name} names no HEALPix cell")
        cells.append(Partition(path, int(match[1]), int(match[2])))
    return sorted(cells, key=lambda partition: partition.first)


def read_properties(path: Path) -> dict[str, str]:
    """The properties of a HATS file by name."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
