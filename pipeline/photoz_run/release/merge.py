"""The tiles of a run as one stream of unique sources in HEALPix order, in memory that does not grow with their number.

Three passes: the first looks at IDs and positions and decides between duplicates (`scan`); the second deals the rows
out to files, each for a range of the sky (`split`); the third sorts one range after the other (`in_order`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run import flags, schema
from photoz_run.catalogue.fits_columns import text_widths
from photoz_run.catalogue.provenance import Provenance
from photoz_run.errors import ConfigError
from photoz_run.release.accounting import TileAccount, account_of, pending
from photoz_run.release.buckets import MOST, Buckets
from photoz_run.release.duplicates import COLUMNS, Claims, Duplicates, centre_of
from photoz_run.release.sky import CELLS, count_cells, healpix_index, range_of, range_starts
from photoz_run.release.tiles import FinishedRun, file_provenance

INDEX = "_healpix_29"
RANGE_BYTES = 1 << 27
"""Uncompressed rows that are sorted together; sorting takes some three times as much memory."""
BATCH = 1 << 16
"""Rows handed on together."""

Tick = Callable[[int], None]
"""Told how much more is done."""


class FurtherColumns(Protocol):
    """Columns that a release has beyond those of the run."""

    @property
    def fields(self) -> list[pa.Field]:
        """The columns as they come out."""

    def add(self, tile: str, table: pa.Table) -> pa.Table:
        """``table``, rows of ``tile``, with these columns at its end."""


@dataclass(frozen=True)
class Scan:
    """What the first pass found."""

    run: Provenance
    packages: tuple[str, ...]
    """Versions of the libraries; more than one entry if they changed while the run went on."""
    inputs: Mapping[str, list[dict[str, Any]]]
    """Name and bytes of every input file by tile, from the tile files."""
    accounts: Mapping[str, TileAccount]
    duplicates: Duplicates
    fields: pa.Schema
    """Columns of the tile files."""
    count_C: NDArray[np.int64]
    row_bytes: float

    def dropped(self, tiles: Sequence[str]) -> dict[str, int]:
        """How many rows each of ``tiles`` loses to others; ``tiles`` in the order of the scan."""
        return {tile: self.duplicates.count(number) for number, tile in enumerate(tiles)}


def scan(run: FinishedRun, scratch: Path, tick: Tick) -> Scan:
    """Read every tile once: count its rows, check them against the record, find duplicates.

    Raises
    ------
    ConfigError
        If a tile file is not what was recorded, was made by another run, or has other columns than the rest.
    """
    claims = Claims(Buckets(scratch / "claims", Claims.files(run.rows)))
    accounts = {
        tile: account_of(one, None) for tile, one in {**run.idle, **run.quarantined}.items()
    }
    accounts |= {tile: pending(tile) for tile in run.pending}
    count_C, size = np.zeros(CELLS, np.int64), 0
    inputs, packages, first = {}, [], None
    for number, (tile, outcome) in enumerate(run.done.items()):
        table = run.read(tile)
        made, inputs[tile] = file_provenance(table, run, tile)
        packages.append(made.packages)
        first = first or (made, _fields(table))
        _refuse_other_columns(first[1], table, tile)
        accounts[tile] = account_of(outcome, table)
        count_C += count_cells(
            healpix_index(table["RAJ2000"].to_numpy(), table["DECJ2000"].to_numpy())
        )
        claims.add(table.select(COLUMNS), number, centre_of(outcome.footprint))
        size += table.nbytes
        tick(1)
    assert first is not None
    duplicates = claims.settle(list(run.done))
    distinct = tuple(dict.fromkeys(packages))
    return Scan(
        first[0], distinct, inputs, accounts, duplicates, first[1], count_C, size / run.rows
    )


@dataclass(frozen=True)
class Split:
    """The rows of a release in files by range of the sky, not yet in order."""

    buckets: Buckets
    fields: pa.Schema
    """Columns of the release."""
    rows: int
    widths: Mapping[str, int]
    """Characters of the longest text of each text column that has no length in the dictionary."""


def split(
    run: FinishedRun, found: Scan, further: Sequence[FurtherColumns], scratch: Path, tick: Tick
) -> Split:
    """Read every tile again, leave out its duplicates, add ``further`` columns, deal the rows out by position.

    Raises
    ------
    ConfigError, BadDataError
        If a tile file has changed in between, or a further column cannot be had.
    """
    fields = pa.schema([*found.fields, *(field for one in further for field in one.fields)])
    texts = [
        field.name
        for field in fields
        if pa.types.is_string(field.type) and field.name not in schema.BY_NAME
    ]
    start_R = range_starts(found.count_C, _rows_at_once(run.rows, found.row_bytes))
    buckets = Buckets(scratch / "ranges", len(start_R))
    rows, widths = 0, dict.fromkeys(texts, 1)
    for number, tile in enumerate(run.done):
        table = _without(
            run.read(tile).replace_schema_metadata(), found.duplicates.rows.get(number)
        )
        for one in further:
            table = one.add(tile, table)
        index_N = healpix_index(table["RAJ2000"].to_numpy(), table["DECJ2000"].to_numpy())
        buckets.add(table.append_column(INDEX, pa.array(index_N)), range_of(index_N, start_R))
        rows += len(table)
        longest = text_widths([table.select(texts)])
        widths = {name: max(width, longest.get(name, 1)) for name, width in widths.items()}
        tick(1)
    buckets.close()
    return Split(buckets, fields, rows, widths)


@dataclass
class Tally:
    """What was handed on for writing: rows by tile, and how often each flag is set."""

    rows: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)

    def add(self, table: pa.Table) -> None:
        """Count the rows of ``table``."""
        for pair in table["KIDS_TILE"].value_counts().to_pylist():
            self.rows[pair["values"]] += pair["counts"]
        self.flags.update(flags.count(table["PHOTOZ_FLAG"].to_numpy()))


def in_order(parted: Split, tally: Tally, tick: Tick) -> Iterator[pa.Table]:
    """The rows of the release in some thousands, by HEALPix index of order 29, then ID; ``tally`` counts them."""
    for number in range(parted.buckets.number):
        table = parted.buckets.take(number)
        if table is None:
            continue
        table = (
            table.combine_chunks()
            .sort_by([(INDEX, "ascending"), ("ID", "ascending")])
            .drop_columns([INDEX])
        )
        tally.add(table)
        for start in range(0, len(table), BATCH):
            batch = table.slice(start, BATCH)
            yield batch
            tick(len(batch))


def _rows_at_once(rows: int, row_bytes: float) -> int:
    """Rows of a range: as many as may be sorted together, and more only if there would be too many files."""
    return max(int(RANGE_BYTES / row_bytes), 2 * rows // MOST, 1)


def _without(table: pa.Table, dropped: NDArray[np.int64] | None) -> pa.Table:
    if dropped is None:
        return table
    keep_N = np.ones(len(table), bool)
    keep_N[dropped] = False
    return table.filter(pa.array(keep_N))


def _fields(table: pa.Table) -> pa.Schema:
    return table.schema.remove_metadata()


def _refuse_other_columns(expected: pa.Schema, table: pa.Table, tile: str) -> None:
    here = {field.name: field.type for field in table.schema}
    there = {field.name: field.type for field in expected}
    if list(here.items()) != list(there.items()):
        differing = next(
            (name for name in (*there, *here) if here.get(name) != there.get(name)), "their order"
        )
        raise ConfigError(
            f"{tile}: column {differing} is {here.get(differing, 'absent')} here and"
            f" {there.get(differing, 'absent')} in the first tile; keep only columns that all catalogues have alike"
        )
