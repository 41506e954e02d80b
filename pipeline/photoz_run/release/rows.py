"""The rows of Parquet files and tables, some thousands at a time."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 1 << 16
"""Rows handed on together."""
READ = 1 << 18
"""Bytes of a column read at once: a column that is read whole takes fresh memory, which costs."""
PART = 1 << 22
"""Most rows of a Parquet file of the catalogue; one that has more is a folder of such files."""
WHOLE, IN_PARTS = ".parquet", "_parquet"
"""The ends of the catalogue's name: that of the one file, and that of the folder."""
INDEX = "_healpix_29"
"""The column of HATS that holds the HEALPix index; rows have it while they are sorted."""


def parquet_parts(folder: Path, name: str) -> list[Path]:
    """The Parquet files of the release ``name``, in order; `FileNotFoundError` if there is none.

    In releases of 0.1.0 the folder has the name of the file.
    """
    for ending in (WHOLE, IN_PARTS):
        product = folder / f"{name}{ending}"
        parts = [product] if product.is_file() else sorted(product.glob("*.parquet"))
        if parts:
            return parts
    raise FileNotFoundError(f"there is no {name}{WHOLE} and no {name}{IN_PARTS} with a file")


def parquet_rows(parts: Iterable[Path], columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of Parquet files, one file after the other; checksums of pages are checked."""
    for part in parts:
        with pq.ParquetFile(
            part, page_checksum_verification=True, buffer_size=READ, pre_buffer=False
        ) as file:
            for batch in file.iter_batches(BATCH, columns=columns):
                yield pa.Table.from_batches([batch])


def in_batches(table: pa.Table) -> Iterator[pa.Table]:
    """The rows of a table in its order."""
    for start in range(0, len(table), BATCH):
        yield table.slice(start, BATCH)


def regrouped(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The rows of ``tables`` in tables of ``rows`` rows; the last one has the rest.

    Tables without rows give one table without rows; ``tables`` must not be empty.
    """
    held: list[pa.Table] = []
    whole = False
    for table in tables:
        held.append(table)
        while sum(map(len, held)) >= rows:
            joined = pa.concat_tables(held)
            yield joined.slice(0, rows)
            held, whole = [joined.slice(rows)], True
    rest = pa.concat_tables(held)
    if len(rest) or not whole:
        yield rest
