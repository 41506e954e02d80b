"""The catalogue of a release in Parquet: a file, or a folder of files of a few million rows.

Each file describes its columns. The catalogue is the first product: all others are made from its
files and compared with them.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from photoz_run import schema
from photoz_run.catalogue.arrow_fields import check_complete, is_text
from photoz_run.release.draft import Draft, Writer
from photoz_run.release.merge import in_order
from photoz_run.release.products.votable import votable_without_data
from photoz_run.release.record import ReleaseRecord
from photoz_run.release.rows import IN_PARTS, PART, WHOLE, regrouped

GROUP = 1 << 20
"""Rows of a row group, which is held in memory."""
GROUPS = PART // GROUP
"""Row groups of a file."""


def write(draft: Draft, path: Path) -> int:
    """Sort the rows and write them; how many there are in the files."""
    places = parts_in(path) if draft.in_parts else iter([path])
    with draft.progress.step("rows sorted", draft.buckets.rows) as tick:
        rows = in_order(draft.buckets, draft.tally, tick)
        draft.parts = write_release_parquet(
            places, draft.buckets.fields, rows, draft.record, draft.buckets.widths
        )
    return draft.rows


WRITER = Writer(WHOLE, "the catalogue", write, format="parquet", ending_in_parts=IN_PARTS)


def parts_in(folder: Path) -> Iterator[Path]:
    """The places of the files in a folder, without end; the folder is made."""
    folder.mkdir()
    for number in count():
        yield folder / f"part-{number:04d}.parquet"


def write_release_parquet(
    places: Iterator[Path],
    arrow: pa.Schema,
    batches: Iterable[pa.Table],
    record: ReleaseRecord,
    widths: Mapping[str, int],
    group: int = GROUP,
) -> list[Path]:
    """Write the rows of ``batches``, in their order, as files of `GROUPS` row groups.

    A list that is null as a whole becomes a list of nulls, and texts with a dictionary of their
    own become plain ones: astropy cannot read the others. A release without rows has one file
    without rows.

    Parameters
    ----------
    places
        Where to write the first file, the second, and so on.
    arrow
        The columns.
    batches
        The rows, in tables of any size.
    record
        What each file says of the release.
    widths
        Characters of the texts that have no length in the dictionary.
    group
        Rows of a row group; as many are held in memory.

    Returns
    -------
    list of Path
        The files, in order.

    Raises
    ------
    BadDataError
        If a value is null in a column that allows none.
    ConfigError
        If a column has a type that a catalogue does not have.
    """
    plain = pa.schema(
        [field.with_type(pa.string()) if is_text(field.type) else field for field in arrow]
    )
    described = plain.with_metadata(_metadata(plain, record, widths))
    settings = {
        "compression": "zstd",
        "write_page_checksum": True,
        "use_dictionary": _repeating(described),
    }
    parts: list[Path] = []
    for part in _parts(_row_groups(batches, described, group)):
        parts.append(next(places))
        with pq.ParquetWriter(parts[-1], described, **settings) as writer:
            for table in part:
                writer.write_table(table, row_group_size=group)
    return parts


def _repeating(arrow: pa.Schema) -> list[str]:
    """The columns whose values repeat, so that Parquet's dictionaries save room.

    Floats and IDs do not: trying costs a third of the time, and makes the files larger.
    """
    own = schema.with_ucd("meta.id;meta.main").name
    flat = [field for field in arrow if not pa.types.is_fixed_size_list(field.type)]
    names = [field.name for field in flat if not pa.types.is_floating(field.type)]
    return [name for name in names if name != own]


def _metadata(arrow: pa.Schema, record: ReleaseRecord, widths: Mapping[str, int]) -> dict[str, str]:
    """What each part says.

    The provenance, as a tile file has it; the columns, for VOParquet 1.0; the lengths of texts, for
    astropy.
    """
    known = {column.name: column.length for column in schema.COLUMNS if column.dtype[0] == "U"}
    lengths = {**widths, **known}
    return {
        **record.metadata(),
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": votable_without_data(arrow, record, widths),
        **{f"table::len::{name}": str(lengths[name]) for name in arrow.names if name in lengths},
    }


def _row_groups(batches: Iterable[pa.Table], arrow: pa.Schema, group: int) -> Iterator[pa.Table]:
    """The same rows in tables of ``group`` rows, the last one with the rest; at least one table."""
    return regrouped(chain([arrow.empty_table()], _as_released(batches, arrow)), group)


def _as_released(batches: Iterable[pa.Table], arrow: pa.Schema) -> Iterator[pa.Table]:
    for batch in batches:
        for field in arrow:
            check_complete(field, batch[field.name])
        yield _with_lists_of_nulls(batch.cast(arrow))


def _with_lists_of_nulls(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_fixed_size_list(field.type) and table[field.name].null_count:
            spread = _list_of_nulls(table[field.name].combine_chunks())
            table = table.set_column(index, field, spread)
    return table


def _list_of_nulls(lists: pa.FixedSizeListArray) -> pa.FixedSizeListArray:
    """The same lists, where those that are null hold nulls."""
    size = lists.type.list_size
    elements = lists.values.slice(lists.offset * size, len(lists) * size)
    present = np.repeat(lists.is_valid().to_numpy(zero_copy_only=False), size)
    spread = pc.if_else(pa.array(present), elements, pa.scalar(None, elements.type))
    return pa.FixedSizeListArray.from_arrays(spread, type=lists.type)


def _parts(groups: Iterator[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """The groups, part by part; a part must be used up before the next is asked for."""
    for first in groups:
        yield _one_part(first, groups)


def _one_part(first: pa.Table, groups: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from islice(groups, GROUPS - 1)
