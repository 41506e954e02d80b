"""A release as a HATS collection, for LSDB: the catalogue in partitions, a margin cache on request.

The rows come in the order of the sky, so that each partition is a run of them. What describes the
partitions is written by hats.
"""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run import schema
from photoz_run.release.cells import Cells, partition_cells, whole_sky
from photoz_run.release.draft import Draft, Writer
from photoz_run.release.products.hats_margin import MarginRows, margin_order
from photoz_run.release.products.hats_metadata import Description, partition_schema
from photoz_run.release.products.hats_partitions import PartitionWriter
from photoz_run.release.record import margin_name
from photoz_run.release.rows import INDEX
from photoz_run.release.sky import healpix_index

PARTITION_ROWS = 1_000_000
"""Most rows of a partition, as hats-import has it."""
POSITION = [
    schema.with_ucd("pos.eq.ra;meta.main").name,
    schema.with_ucd("pos.eq.dec;meta.main").name,
]


def write(draft: Draft, path: Path) -> int:
    """Write the HATS collection; the number of rows in its catalogue."""
    count_K, cells = _counts_and_cells(draft)
    fields = partition_schema(draft.parts[0], draft.record)
    described = Description(path, draft.record, fields)
    margin = None
    if draft.options.margin is not None:
        margin = MarginRows(cells, draft.options.margin, draft.scratch / "margin")
    partitions = PartitionWriter(path / draft.record.name, fields)
    for number, tables in groupby(_pieces(draft, cells, margin), key=itemgetter(0)):
        partitions.write(cells.order_C[number], cells.cell_C[number], map(itemgetter(1), tables))
    described.catalogue(cells, count_K, PARTITION_ROWS)
    if margin is not None:
        beside = margin.write(PartitionWriter(path / margin_name(draft.record.name), fields))
        described.margin(cells, beside, margin.width)
    described.collection()
    if draft.options.extend:
        described.extension(draft.options.extend, draft.options.extend_column)
    return draft.rows


def refuse(draft: Draft) -> None:
    """Refuse a margin that is too wide for the smallest partition."""
    if draft.options.margin is not None:
        _, cells = _counts_and_cells(draft)
        margin_order(draft.options.margin, whole_sky(cells))


WRITER = Writer(
    "_hats", "the catalogue in HATS partitions, for LSDB", write, format="hats", refuse=refuse
)


def _counts_and_cells(draft: Draft) -> tuple[NDArray[np.int64], Cells]:
    """The rows in each cell of `MAP_ORDER`, and the partitions."""
    count_K = draft.buckets.count_K
    if count_K is None:
        raise ValueError("the rows were not counted")
    return count_K, partition_cells(count_K, PARTITION_ROWS)


def _pieces(
    draft: Draft, cells: Cells, margin: MarginRows | None
) -> Iterator[tuple[int, pa.Table]]:
    """The rows in order with their index, cut at the borders of cells; the number of each cell."""
    with draft.progress.step("rows into HATS", draft.rows) as tick:
        for batch in draft.batches(tick):
            index_N = _index(batch)
            rows = batch.add_column(0, INDEX, pa.array(index_N))
            if margin is not None:
                margin.add(rows, index_N)
            number_N = cells.holding(index_N)
            numbers, starts = np.unique(number_N, return_index=True)
            stops = [*starts, len(rows)][1:]
            for number, start, stop in zip(numbers, starts, stops, strict=True):
                yield int(number), rows.slice(start, stop - start)


def _index(batch: pa.Table) -> NDArray[np.int64]:
    return healpix_index(*(batch[name].to_numpy() for name in POSITION))
