"""The rows of a run or a release that belong to targets."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.catalogue.table import QUANTILES
from photoz_run.science.matching import separations
from photoz_run.show.targets import Target
from photoz_run.tables.canonical import TEXT
from photoz_run.tables.keys import id_texts, ids, position_columns, positions
from photoz_run.tables.table import Table


@dataclass(frozen=True)
class CatalogueRow:
    """A row of a catalogue, by column, and its distance (arcsec) from the target."""

    values: dict[str, Any]
    separation: float


def find_rows(
    table: Table, targets: Sequence[Target], radius: float
) -> dict[int, list[CatalogueRow]]:
    """The rows of each target that has any, by its number: those of its ID, or the nearest first.

    The keys of all rows are read, of the other columns only what belongs to a target.
    """
    pair = position_columns(table)
    start, matches = 0, []
    for batch in table.batches([*pair, "ID"]):
        places = positions(table, batch, pair)
        for row, number in _matches(table.where, batch, places, targets, radius):
            matches.append((start + row, number))
        start += len(batch)
    if not matches:
        return {}
    rows_K = np.unique([row for row, _ in matches])
    values = table.take(table.names, rows_K, lists=[QUANTILES])
    id_K, (ra_K, dec_K) = ids(table.where, values, "ID"), positions(table, values, pair)
    place_of = {int(row): k for k, row in enumerate(rows_K)}
    records = values.to_pylist()
    by_target: defaultdict[int, list[CatalogueRow]] = defaultdict(list)
    for row, number in matches:
        k, target = place_of[row], targets[number]
        apart = separations(ra_K[k : k + 1], dec_K[k : k + 1], target.ra, target.dec)[0]
        record = records[k] | {"ID": str(id_K[k]), "RAJ2000": ra_K[k], "DECJ2000": dec_K[k]}
        by_target[number].append(CatalogueRow(record, float(apart)))
    for rows in by_target.values():
        rows.sort(key=lambda row: np.nan_to_num(row.separation))
    return dict(by_target)


def quantile_levels(table: Table) -> tuple[float, ...]:
    """The levels of the column of quantiles; none if the catalogue has not kept them."""
    if table.missing([QUANTILES]):
        return ()
    metadata = table.stored_field(QUANTILES).metadata or {}
    levels = metadata.get(b"levels", b"").decode()
    return tuple(float(level) for level in levels.split(",") if level)


def _matches(
    where: str,
    batch: pa.Table,
    places: tuple[NDArray[np.float64], NDArray[np.float64]],
    targets: Sequence[Target],
    radius: float,
) -> list[tuple[int, int]]:
    """Rows of a batch and the numbers of the targets that they belong to."""
    ra_N, dec_N = places
    matches = []
    named = {target.id: k for k, target in enumerate(targets) if target.id}
    if named:
        wanted = pa.array(list(named), TEXT)
        texts = id_texts(where, batch, "ID")
        rows = np.flatnonzero(pc.is_in(texts, value_set=wanted).to_numpy())
        names = texts.take(pa.array(rows)).to_pylist()
        matches += [(int(row), named[str(name)]) for row, name in zip(rows, names, strict=True)]
    for k, target in enumerate(targets):
        if target.id:
            continue
        near = np.flatnonzero(np.abs(dec_N - target.dec) <= radius / 3600)
        apart = separations(ra_N[near], dec_N[near], target.ra, target.dec)
        matches += [(int(row), k) for row in near[apart <= radius]]
    return matches
