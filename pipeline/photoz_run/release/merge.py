"""The tiles of a run as one stream of unique sources in HEALPix order.

Memory does not grow with the number of sources. There are three passes: the first looks at IDs and
positions and decides between duplicates (`scan_tiles`); the second deals the rows out to files,
each for a range of the sky (`deal_out`); the third sorts one range after the other (`in_order`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run import flags, schema
from photoz_run.catalogue.fits_columns import text_widths
from photoz_run.catalogue.provenance import Provenance
from photoz_run.errors import ConfigError
from photoz_run.progress import Tick
from photoz_run.release.accounting import PENDING, TileAccount, account_of, unmeasured
from photoz_run.release.buckets import MOST, Buckets
from photoz_run.release.cells import count_rows, empty_counts
from photoz_run.release.duplicates import COLUMNS, Claims, Duplicates, centre_of
from photoz_run.release.plain import plain_field, plain_rows
from photoz_run.release.provenance import SourceFile
from photoz_run.release.rows import INDEX, in_batches
from photoz_run.release.sky import CELLS, count_cells, healpix_index, range_of, range_starts
from photoz_run.release.tiles import FinishedRun, file_provenance

RANGE_BYTES = 1 << 27
"""Uncompressed rows that are sorted together; sorting takes some three times as much memory."""


class FurtherColumns(Protocol):
    """Columns that a release has beyond those of the run."""

    @property
    def fields(self) -> list[pa.Field]:
        """The columns as they come out."""

    def add(self, tile: str, table: pa.Table) -> pa.Table:
        """``table``, rows of ``tile``, with these columns at its end."""


@dataclass(frozen=True)
class Scan:
    """What the first pass learned."""

    run: Provenance
    packages: tuple[str, ...]
    """Versions of the libraries; several entries if they changed while the run went on."""
    inputs: Mapping[str, tuple[SourceFile, ...]]
    """Every input file by tile, from the tile files."""
    accounts: Mapping[str, TileAccount]
    duplicates: Duplicates
    fields: pa.Schema
    """Columns of the tile files."""
    count_C: NDArray[np.int64]
    """Rows in each HEALPix cell, duplicates included."""
    row_bytes: float
    """Bytes of a row in memory, on average."""

    def left_out(self, tiles: Sequence[str]) -> dict[str, int]:
        """How many rows each of ``tiles`` loses to others; ``tiles`` in the order of the scan."""
        return {tile: self.duplicates.count(number) for number, tile in enumerate(tiles)}


def scan_tiles(run: FinishedRun, scratch: Path, tick: Tick) -> Scan:
    """Read every tile once: count its rows, check them against the record, find duplicates.

    Raises
    ------
    ConfigError
        If a tile file is not what was recorded, was made by another run, or has other columns than
        the rest.
    """
    claims = Claims(Buckets(scratch / "claims", Claims.files(run.rows)))
    accounts = _accounts_without_rows(run)
    count_C, size = np.zeros(CELLS, np.int64), 0
    inputs, provenances = {}, []
    fields: pa.Schema | None = None
    for number, (tile, outcome) in enumerate(run.done.items()):
        table = run.read(tile)
        provenance, inputs[tile] = file_provenance(table, run, tile)
        provenances.append(provenance)
        fields = fields or table.schema.remove_metadata()
        _refuse_other_columns(fields, table, tile)
        accounts[tile] = account_of(outcome, table)
        count_C += count_cells(_index(table))
        claims.add(table.select(COLUMNS), number, centre_of(outcome.footprint))
        size += table.nbytes
        tick(1)
    packages = tuple(dict.fromkeys(provenance.packages for provenance in provenances))
    return Scan(
        run=provenances[0],
        packages=packages,
        inputs=inputs,
        accounts=accounts,
        duplicates=claims.settle(list(run.done)),
        fields=fields,
        count_C=count_C,
        row_bytes=size / run.rows,
    )


def _accounts_without_rows(run: FinishedRun) -> dict[str, TileAccount]:
    """The accounts of the tiles that have no file."""
    accounts = {}
    for outcome in (*run.idle.values(), *run.quarantined.values()):
        accounts[outcome.tile] = account_of(outcome, None)
    for tile in run.pending:
        accounts[tile] = unmeasured(tile, PENDING, None)
    return accounts


@dataclass(frozen=True)
class SkyBuckets:
    """The rows of a release in files by range of the sky, not yet in order."""

    buckets: Buckets
    fields: pa.Schema
    """Columns of the release."""
    rows: int
    widths: Mapping[str, int]
    """Characters of the longest text of each text column without a length in the dictionary."""
    count_K: NDArray[np.int64] | None = None
    """Rows in each cell of `cells.MAP_ORDER`, if they were counted."""


def deal_out(
    run: FinishedRun,
    scan: Scan,
    further: Sequence[FurtherColumns],
    scratch: Path,
    tick: Tick,
    counted: bool = False,
) -> SkyBuckets:
    """Read every tile again, leave out duplicates, add ``further`` columns, sort into ranges.

    If ``counted``, rows are counted in cells of the sky, which takes 100 MB.

    Raises
    ------
    ConfigError, BadDataError
        If a tile file has changed in between, or a further column cannot be had.
    """
    fields = list(scan.fields)
    for columns in further:
        fields += columns.fields
    fields = [plain_field(field) for field in fields]
    texts = [field.name for field in fields if _has_no_length(field)]
    start_R = range_starts(scan.count_C, _rows_at_once(run.rows, scan.row_bytes))
    buckets = Buckets(scratch / "ranges", len(start_R))
    rows, widths = 0, dict.fromkeys(texts, 1)
    count_K = empty_counts() if counted else None
    for number, tile in enumerate(run.done):
        table = run.read(tile).replace_schema_metadata()
        table = _without(table, scan.duplicates.rows.get(number))
        for columns in further:
            table = columns.add(tile, table)
        table = plain_rows(table)
        index_N = _index(table)
        buckets.add(table.append_column(INDEX, pa.array(index_N)), range_of(index_N, start_R))
        rows += len(table)
        if count_K is not None:
            count_rows(count_K, index_N)
        longest = text_widths([table.select(texts)])
        widths = {name: max(width, longest.get(name, 1)) for name, width in widths.items()}
        tick(1)
    buckets.close()
    return SkyBuckets(buckets, pa.schema(fields), rows, widths, count_K)


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


def in_order(sky: SkyBuckets, tally: Tally, tick: Tick) -> Iterator[pa.Table]:
    """The rows of the release by HEALPix index of order 29, then ID; ``tally`` counts them."""
    for number in range(sky.buckets.number):
        table = sky.buckets.take(number)
        if table is None:
            continue
        table = table.combine_chunks().sort_by([(INDEX, "ascending"), ("ID", "ascending")])
        table = table.drop_columns([INDEX])
        tally.add(table)
        for batch in in_batches(table):
            yield batch
            tick(len(batch))


def _rows_at_once(rows: int, row_bytes: float) -> int:
    """Rows of a range: as many as may be sorted together, more if there were too many files."""
    return max(int(RANGE_BYTES / row_bytes), 2 * rows // MOST, 1)


def _index(table: pa.Table) -> NDArray[np.int64]:
    return healpix_index(table["RAJ2000"].to_numpy(), table["DECJ2000"].to_numpy())


def _has_no_length(field: pa.Field) -> bool:
    """Whether a column holds texts of which the dictionary does not say how long they may be."""
    return pa.types.is_string(field.type) and field.name not in schema.BY_NAME


def _without(table: pa.Table, left_out: NDArray[np.int64] | None) -> pa.Table:
    if left_out is None:
        return table
    keep_N = np.ones(len(table), bool)
    keep_N[left_out] = False
    return table.filter(pa.array(keep_N))


def _refuse_other_columns(expected: pa.Schema, table: pa.Table, tile: str) -> None:
    here = {field.name: field.type for field in table.schema}
    there = {field.name: field.type for field in expected}
    if list(here.items()) == list(there.items()):
        return
    names = [name for name in (*there, *here) if here.get(name) != there.get(name)]
    differing = names[0] if names else "their order"
    raise ConfigError(
        f"{tile}: column {differing} is {here.get(differing, 'absent')} here and"
        f" {there.get(differing, 'absent')} in the first tile; keep only columns that all"
        " catalogues have alike"
    )
