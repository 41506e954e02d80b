"""The Parquet data set of a release: parts of a few million rows, each of which says what its columns are."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import schema
from pipeline.catalogue.arrow_fields import check_complete
from pipeline.catalogue.release_record import ReleaseRecord
from pipeline.catalogue.votable import votable_without_data

GROUP = 1 << 20
"""Rows of a row group, which is held in memory."""
GROUPS = 4
"""Row groups of a part."""


def write_release_parquet(
    folder: Path, arrow: pa.Schema, batches: Iterable[pa.Table], record: ReleaseRecord, group: int = GROUP
) -> list[Path]:
    """Write the rows of ``batches``, in their order, as ``folder/part-NNNN.parquet``; the parts in order.

    Batches may have any size; ``group`` rows are held in memory. A release without rows has one part without rows.

    Raises
    ------
    BadDataError
        If a value is null that must not be.
    ConfigError
        If a column has a type that a catalogue does not have.
    """
    folder.mkdir(parents=True)
    described = arrow.with_metadata(parquet_metadata(arrow, record))
    parts: list[Path] = []
    for part in _parts(_row_groups(batches, described, group)):
        parts.append(folder / f"part-{len(parts):04d}.parquet")
        with pq.ParquetWriter(parts[-1], described, compression="zstd") as writer:
            for table in part:
                writer.write_table(table, row_group_size=group)
    return parts


def parquet_metadata(arrow: pa.Schema, record: ReleaseRecord) -> dict[str, str]:
    """What a Parquet file of the release says: provenance as in a tile file, and its columns (VOParquet 1.0)."""
    return {
        **record.metadata(),
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": votable_without_data(arrow, record),
        # astropy reads every text twice to find the longest where it is not told.
        **{f"table::len::{name}": str(schema.BY_NAME[name].length) for name in arrow.names if _has_length(name)},
    }


def _has_length(name: str) -> bool:
    return name in schema.BY_NAME and schema.BY_NAME[name].dtype.startswith("U")


def _row_groups(batches: Iterable[pa.Table], arrow: pa.Schema, group: int) -> Iterator[pa.Table]:
    """The same rows in tables of ``group`` rows, the last one with the rest; at least one table."""
    held = arrow.empty_table()
    first = True
    for batch in batches:
        for field in arrow:
            check_complete(field, batch[field.name])
        held = pa.concat_tables([held, batch.cast(arrow)])
        while len(held) >= group:
            yield held.slice(0, group)
            held, first = held.slice(group), False
    if len(held) or first:
        yield held


def _parts(groups: Iterator[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """The groups of one part after those of another; a part must be used up before the next is asked for."""
    for first in groups:
        yield _one_part(first, groups)


def _one_part(first: pa.Table, groups: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from islice(groups, GROUPS - 1)
