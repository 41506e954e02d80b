"""What is new in a release beside an older one: sources added, changed and removed.

A source is the one with the same ID. It has changed if any column that both releases have differs,
its tile included. Rows are dealt out by ID, so that memory does not grow with their number.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_run.catalogue.table import dictionary_schema
from photoz_run.errors import ConfigError
from photoz_run.progress import Tick
from photoz_run.records import Status
from photoz_run.release.buckets import MOST, Buckets
from photoz_run.release.distributions import quantile_matrix
from photoz_run.release.folder import PROVENANCE
from photoz_run.release.identity import id_numbers
from photoz_run.release.provenance import (
    ChangeStatus,
    ReleaseProvenance,
    TileChange,
    UpdateFacts,
    read_provenance,
)
from photoz_run.release.rows import parquet_parts, parquet_rows

ENDING = "_changes.parquet"
ADDED: Literal["added"] = "added"
CHANGED: Literal["changed"] = "changed"
REMOVED: Literal["removed"] = "removed"
TOGETHER = 1 << 19
"""Rows that are compared at once, about."""
FINISHED = (Status.DONE, Status.NO_WORK)


@dataclass(frozen=True)
class OlderRelease:
    """The release that a new one updates."""

    folder: Path
    provenance: ReleaseProvenance

    @classmethod
    def of(cls, folder: Path) -> "OlderRelease":
        """The release in ``folder``; `ConfigError` if there is none."""
        if not (folder / PROVENANCE).is_file():
            raise ConfigError(f"--update {folder} is no release: it has no {PROVENANCE}")
        return cls(folder, read_provenance(folder))

    @property
    def parts(self) -> list[Path]:
        """Its Parquet files, in order."""
        return parquet_parts(self.folder, self.provenance.name)


@dataclass
class ChangeCounts:
    """How many sources of each tile were added, changed or removed."""

    by_tile: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, changes: pa.Table) -> None:
        """Count the rows of the table ``changes``."""
        pairs = zip(changes["KIDS_TILE"].to_pylist(), changes["CHANGE"].to_pylist(), strict=True)
        self.by_tile.update(pairs)

    def tile(self, tile: str, status: ChangeStatus) -> TileChange:
        """The counts of one tile."""
        numbers = [self.by_tile[tile, change] for change in (ADDED, CHANGED, REMOVED)]
        if status == "unchanged" and any(numbers):
            status = CHANGED
        return TileChange(tile, status, *numbers)


def changed_sources(
    old: Sequence[Path], new: Sequence[Path], scratch: Path, tick: Tick
) -> Iterator[pa.Table]:
    """The sources that differ between two releases, as the table ``changes`` of the dictionary.

    Parameters
    ----------
    old, new
        Parquet files of the releases.
    scratch
        A folder that must not exist, for intermediate files as large as the uncompressed rows.
    tick
        Told how many rows of both were read.
    """
    rows = sum(pq.read_metadata(part).num_rows for part in (*old, *new))
    number = min(MOST, max(1, rows // TOGETHER))
    scratch.mkdir()
    before = _dealt_out(parquet_rows(old), scratch / "old", number, tick)
    after = _dealt_out(parquet_rows(new), scratch / "new", number, tick)
    nothing_old, nothing_new = (pq.read_schema(part[0]).empty_table() for part in (old, new))
    for bucket in range(number):
        earlier, later = before.take(bucket), after.take(bucket)
        yield _changes(
            nothing_old if earlier is None else earlier, nothing_new if later is None else later
        )


def update_facts(
    old: OlderRelease, digest: str, new: ReleaseProvenance, counts: ChangeCounts
) -> UpdateFacts:
    """What a release says of the one that it updates.

    Parameters
    ----------
    old
        The older release.
    digest
        The sha256 of its ``provenance.json``.
    new
        The provenance of the new release.
    counts
        What differs.
    """
    before, after = (_finished(one) for one in (old.provenance, new))
    names = [{column.name for column in one.columns} for one in (old.provenance, new)]
    tiles = []
    for tile in sorted(before | after):
        status: ChangeStatus = REMOVED if tile not in after else "unchanged"
        if tile not in before:
            status = ADDED
        tiles.append(counts.tile(tile, status))
    added, changed, removed = (
        sum(getattr(tile, change) for tile in tiles) for change in (ADDED, CHANGED, REMOVED)
    )
    return UpdateFacts(
        name=old.provenance.name,
        date=old.provenance.date,
        provenance_sha256=digest,
        model=f"{old.provenance.model.name} {old.provenance.model.version}",
        model_digest=old.provenance.model.digest,
        columns_added=tuple(sorted(names[1] - names[0])),
        columns_removed=tuple(sorted(names[0] - names[1])),
        added=added,
        changed=changed,
        removed=removed,
        unchanged=new.rows - added - changed,
        tiles=tuple(tiles),
    )


def _finished(provenance: ReleaseProvenance) -> set[str]:
    return {tile.tile for tile in provenance.tiles if tile.status in FINISHED}


def _dealt_out(batches: Iterable[pa.Table], folder: Path, number: int, tick: Tick) -> Buckets:
    buckets = Buckets(folder, number)
    for batch in batches:
        buckets.add(batch, (id_numbers(batch["ID"]) % np.uint64(number)).astype(np.intp))
        tick(len(batch))
    buckets.close()
    return buckets


def _changes(old: pa.Table, new: pa.Table) -> pa.Table:
    """The rows of ``changes`` for the sources of two tables, by ID."""
    place = pc.index_in(new["ID"], value_set=old["ID"].combine_chunks())
    is_old_N = place.is_valid()
    is_new_M = pc.is_in(old["ID"], value_set=new["ID"].combine_chunks())
    here, there = new.filter(is_old_N), old.take(place.drop_null())
    columns_N = _other_columns(there, here)
    differs_N = pa.array([bool(columns) for columns in columns_N], pa.bool_())
    listed = pa.array([columns for columns in columns_N if columns], pa.string())
    parts = [
        _listed(new.filter(pc.invert(is_old_N)), ADDED),
        _listed(here.filter(differs_N), CHANGED, listed),
        _listed(old.filter(pc.invert(is_new_M)), REMOVED),
    ]
    return pa.concat_tables(parts).sort_by("ID")


def _listed(rows: pa.Table, change: str, columns: pa.Array | None = None) -> pa.Table:
    values = {
        "ID": rows["ID"],
        "KIDS_TILE": rows["KIDS_TILE"],
        "CHANGE": pa.array([change] * len(rows), pa.string()),
        "COLUMNS": pa.nulls(len(rows), pa.string()) if columns is None else columns,
    }
    fields = dictionary_schema("changes")
    return pa.Table.from_arrays([values[name] for name in fields.names], schema=fields)


def _other_columns(old: pa.Table, new: pa.Table) -> list[str]:
    """For each source the columns in which its two rows differ, with commas between them."""
    common = [name for name in new.column_names if name in old.column_names and name != "ID"]
    columns_N: list[str] = [""] * len(new)
    for name in common:
        for place in np.flatnonzero(_unequal(old[name], new[name])):
            columns_N[place] += f",{name}" if columns_N[place] else name
    return columns_N


def _unequal(old: pa.ChunkedArray, new: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Rows in which two columns differ; null is equal to null alone."""
    if old.type != new.type:
        return np.ones(len(new), bool)
    if pa.types.is_fixed_size_list(new.type):
        old_NQ, new_NQ = quantile_matrix(old), quantile_matrix(new)
        same_NQ = (old_NQ == new_NQ) | (np.isnan(old_NQ) & np.isnan(new_NQ))
        return np.asarray(~same_NQ.all(axis=1))
    differs = pc.fill_null(pc.not_equal(old, new), False).to_numpy(zero_copy_only=False)
    alone = old.is_null().to_numpy() != new.is_null().to_numpy()
    return np.asarray(differs | alone)
