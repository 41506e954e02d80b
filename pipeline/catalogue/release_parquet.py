"""The Parquet data set of a release: parts of a few million rows that say what each column is (VOParquet)."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.catalogue.release_record import ReleaseRecord
from pipeline.catalogue.tile_files import PROVENANCE_KEY
from pipeline.catalogue.votable import data_less_votable

GROUP = 1 << 20
"""Rows of a row group."""
PART = 4 * GROUP
"""Rows of a part."""


def write_release_parquet(
    folder: Path, arrow: pa.Schema, batches: Iterable[pa.Table], record: ReleaseRecord, group: int = GROUP
) -> list[Path]:
    """Write the rows of ``batches``, in their order, as ``folder/part-NNNN.parquet``; the parts in order.

    Batches may have any size; a row group is held in memory. No rows make one empty part.
    """
    folder.mkdir(parents=True)
    described = arrow.with_metadata(parquet_metadata(arrow, record))
    groups = _regrouped(batches, described, group)
    parts: list[Path] = []
    writer: pq.ParquetWriter | None = None
    written = 0
    try:
        for table in groups:
            if writer is None or written >= PART:
                if writer is not None:
                    writer.close()
                parts.append(folder / f"part-{len(parts):04d}.parquet")
                writer, written = pq.ParquetWriter(parts[-1], described, compression="zstd"), 0
            writer.write_table(table, row_group_size=group)
            written += len(table)
    finally:
        if writer is not None:
            writer.close()
    return parts


def parquet_metadata(arrow: pa.Schema, record: ReleaseRecord) -> Mapping[str, str]:
    """File metadata of a release: provenance under the keys of the tile files, and the VOTable of VOParquet 1.0."""
    return {
        **{f"{PROVENANCE_KEY.decode()}.{key}": value for key, value in record.texts().items()},
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": data_less_votable(arrow, record),
    }


def _regrouped(batches: Iterable[pa.Table], arrow: pa.Schema, group: int) -> Iterator[pa.Table]:
    """The same rows in tables of ``group`` rows, the last one with the rest; at least one table."""
    held: list[pa.Table] = []
    rows, count = 0, 0
    for batch in batches:
        held.append(batch.cast(arrow))
        rows += len(batch)
        while rows >= group:
            whole = pa.concat_tables(held)
            yield whole.slice(0, group)
            count += 1
            held, rows = [whole.slice(group)], rows - group
    if rows or not count:
        yield pa.concat_tables(held) if held else arrow.empty_table()
