"""The Parquet data set of a release: parts of a few million rows, each of which says what its columns are."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from photoz_run import schema
from photoz_run.catalogue.arrow_fields import check_complete, is_text
from photoz_run.catalogue.release_record import ReleaseRecord
from photoz_run.catalogue.votable import votable_without_data

GROUP = 1 << 20
"""Rows of a row group, which is held in memory."""
GROUPS = 4
"""Row groups of a part."""


def write_release_parquet(
    folder: Path,
    arrow: pa.Schema,
    batches: Iterable[pa.Table],
    record: ReleaseRecord,
    widths: Mapping[str, int],
    group: int = GROUP,
) -> list[Path]:
    """Write the rows of ``batches``, in their order, as ``folder/part-NNNN.parquet``; the parts in order.

    Batches may have any size; ``group`` rows are held in memory. ``widths`` are the characters of texts that have no
    length in the dictionary. A release without rows has one part without rows.

    A list that is null as a whole becomes a list of nulls, and texts with a dictionary of their own become plain ones:
    astropy cannot read the others.

    Raises
    ------
    BadDataError
        If a value is null that must not be.
    ConfigError
        If a column has a type that a catalogue does not have.
    """
    folder.mkdir(parents=True)
    plain = pa.schema(
        [field.with_type(pa.string()) if is_text(field.type) else field for field in arrow]
    )
    described = plain.with_metadata(_metadata(plain, record, widths))
    parts: list[Path] = []
    for part in _parts(_row_groups(batches, described, group)):
        parts.append(folder / f"part-{len(parts):04d}.parquet")
        with pq.ParquetWriter(
            parts[-1], described, compression="zstd", write_page_checksum=True
        ) as writer:
            for table in part:
                writer.write_table(table, row_group_size=group)
    return parts


def _metadata(arrow: pa.Schema, record: ReleaseRecord, widths: Mapping[str, int]) -> dict[str, str]:
    """What each part says: provenance as a tile file does, columns (VOParquet 1.0), lengths of texts (astropy)."""
    lengths = {
        **widths,
        **{column.name: column.length for column in schema.COLUMNS if column.dtype.startswith("U")},
    }
    return {
        **record.metadata(),
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": votable_without_data(arrow, record, widths),
        **{f"table::len::{name}": str(lengths[name]) for name in arrow.names if name in lengths},
    }


def _row_groups(batches: Iterable[pa.Table], arrow: pa.Schema, group: int) -> Iterator[pa.Table]:
    """The same rows in tables of ``group`` rows, the last one with the rest; at least one table."""
    held = arrow.empty_table()
    first = True
    for batch in batches:
        for field in arrow:
            check_complete(field, batch[field.name])
        held = pa.concat_tables([held, _with_lists_of_nulls(batch.cast(arrow))])
        while len(held) >= group:
            yield held.slice(0, group)
            held, first = held.slice(group), False
    if len(held) or first:
        yield held


def _with_lists_of_nulls(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_fixed_size_list(field.type) and table[field.name].null_count:
            lists, size = table[field.name].combine_chunks(), field.type.list_size
            elements = lists.values.slice(lists.offset * size, len(lists) * size)
            present = np.repeat(lists.is_valid().to_numpy(zero_copy_only=False), size)
            spread = pc.if_else(pa.array(present), elements, pa.scalar(None, elements.type))
            table = table.set_column(
                index, field, pa.FixedSizeListArray.from_arrays(spread, type=field.type)
            )
    return table


def _parts(groups: Iterator[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """The groups of one part after those of another; a part must be used up before the next is asked for."""
    for first in groups:
        yield _one_part(first, groups)


def _one_part(first: pa.Table, groups: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from islice(groups, GROUPS - 1)
