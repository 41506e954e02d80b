"""Magnitudes from an external table, joined to the sources of a tile by ID or by position."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run import flags
from photoz_run.errors import BadDataError
from photoz_run.records import Sources
from photoz_run.science.matching import match_positions
from photoz_run.survey.catalogues import MagnitudeSuffixes, gaap_magnitudes, magnitude_flags
from photoz_run.tables.arrays import integers, reals
from photoz_run.tables.canonical import TEXT
from photoz_run.tables.keys import Names, id_column, id_texts, ids, position_columns, positions
from photoz_run.tables.opening import open_table
from photoz_run.tables.table import Table, joined
from photoz_run.tables.units import degrees_per_unit, refuse_other_than_magnitudes

LEAST_MATCHED = 0.05
"""Share of a tile's sources that must find their row: less is no join but a mistake."""
NEAR = 300.0
"""arcsec: a table without a row so near the sources does not cover the tile."""
ENOUGH = 20
"""Sources of a tile from which on that share means anything."""


@dataclass(frozen=True)
class MagnitudeTable:
    """An external magnitude table, and whether rows find sources by ``id`` or ``position``."""

    path: Path
    by: str
    radius: float
    """arcsec"""
    names: Names = field(default_factory=Names)


def join_magnitudes(
    sources: Sources, table: MagnitudeTable, suffixes: MagnitudeSuffixes, bands: Sequence[str]
) -> tuple[Sources, dict[str, int]]:
    """Sources with the magnitudes of ``table``, and how many were matched, unmatched and ambiguous.

    A source with several candidate rows takes the nearest (by position) or the first (by ID) and
    is flagged.

    Raises
    ------
    BadDataError
        If the table cannot be read, lacks a column, or has a row for hardly any source.
    """
    opened, key = open_magnitudes(table, suffixes)
    rows = _read_near(opened, table, key, suffixes, sources)
    index_N, candidates_N = _match(opened, table, key, rows, sources)
    found_N = index_N >= 0
    _check_matched(opened, table, key, rows, sources, found_N)
    magnitudes_NB = np.full((len(sources), len(bands)), np.nan, np.float32)
    if found_N.any():
        columns = _magnitude_columns(opened.where, rows, suffixes)
        magnitudes_NB[found_N] = gaap_magnitudes(columns, suffixes)[index_N[found_N]]
    flags_N = magnitude_flags(magnitudes_NB, bands)
    flags_N |= flags.mark(~found_N, "MAG_UNMATCHED")
    flags_N |= flags.mark(candidates_N > 1, "MAG_AMBIGUOUS")
    counts = {
        "magnitudes_matched": int(found_N.sum()),
        "magnitudes_unmatched": int((~found_N).sum()),
        "magnitudes_ambiguous": int((candidates_N > 1).sum()),
    }
    return replace(sources, magnitudes_NB=magnitudes_NB, flags_N=flags_N), counts


def open_magnitudes(
    table: MagnitudeTable, suffixes: MagnitudeSuffixes
) -> tuple[Table, tuple[str, ...]]:
    """The opened table and its key: the column of the ID, or of right ascension and declination.

    Raises
    ------
    BadDataError
        If it cannot be read, or a column that is needed is not there.
    """
    magnitudes = [f"MAG_GAAP_{suffix}" for group in suffixes.values() for suffix in group]
    opened = open_table(table.path, magnitudes)
    refuse_other_than_magnitudes(opened, magnitudes)
    if table.by == "id":
        return opened, (id_column(opened, table.names),)
    return opened, position_columns(opened, table.names)


def _read_near(
    opened: Table,
    table: MagnitudeTable,
    key: tuple[str, ...],
    suffixes: MagnitudeSuffixes,
    sources: Sources,
) -> pa.Table:
    """The rows that can belong to the sources: same ID, or the tile's range of declination."""
    groups = [suffix for group in suffixes.values() for suffix in group]
    needed = [*key, *(f"MAG_GAAP_{suffix}" for suffix in groups)]
    present = set(opened.names)
    optional = [name for suffix in groups if (name := f"FLAG_GAAP_{suffix}") in present]
    names = [*needed, *optional]
    if table.by == "id":
        id_N = pa.array(sources.id_N.tolist(), TEXT)
        parts = []
        for rows in opened.batches(names):
            id_M = id_texts(opened.where, rows, key[0])
            named = rows.set_column(rows.column_names.index(key[0]), key[0], id_M)
            parts.append(named.filter(pc.is_in(id_M, value_set=id_N)))
    else:
        low, high = _declinations(sources, table.radius)
        factor = degrees_per_unit(opened, key[1])
        parts = []
        for rows in opened.batches(names, within=(key[1], low / factor, high / factor)):
            dec_M = positions(opened, rows, key)[1]
            with np.errstate(invalid="ignore"):
                parts.append(rows.filter(pa.array((dec_M >= low) & (dec_M <= high))))
    if not parts:
        return opened.read(names).slice(0, 0)
    return joined(opened.where, parts)


def _match(
    opened: Table, table: MagnitudeTable, key: tuple[str, ...], rows: pa.Table, sources: Sources
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The row of each source, -1 for none, and how many would do."""
    if table.by == "id":
        return _match_ids(sources.id_N, ids(opened.where, rows, key[0]))
    ra_M, dec_M = positions(opened, rows, key)
    match = match_positions(sources.ra_N, sources.dec_N, ra_M, dec_M, table.radius)
    return match.index_N, match.candidates_N


def _match_ids(
    id_N: NDArray[np.str_], id_M: NDArray[np.str_]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    names, first_M, count_M = np.unique(id_M, return_index=True, return_counts=True)
    if len(names) == 0:
        return np.full(len(id_N), -1, np.int64), np.zeros(len(id_N), np.int32)
    place_N = np.minimum(np.searchsorted(names, id_N), len(names) - 1)
    found_N = names[place_N] == id_N
    index_N = np.where(found_N, first_M[place_N], -1)
    return index_N, np.where(found_N, count_M[place_N], 0).astype(np.int32)


def _check_matched(
    opened: Table,
    table: MagnitudeTable,
    key: tuple[str, ...],
    rows: pa.Table,
    sources: Sources,
    found_N: NDArray[np.bool_],
) -> None:
    """Refuse a join that finds next to nothing: `BadDataError` says what it may be."""
    number = int(found_N.sum())
    if number and (number >= LEAST_MATCHED * len(found_N) or len(found_N) < ENOUGH):
        return
    place = f"{sources.ra_N[0]:.4f} {sources.dec_N[0]:+.4f}"
    if table.by == "id":
        cause = f"are its {key[0]} those of the catalogue, such as '{sources.id_N[0]}'?"
    elif not _covers(opened, key, rows, sources):
        cause = (
            f"the table does not cover the tile: none of its rows lies within {NEAR / 60:g}' of a"
            f" source (the first lies at {place}); leave the tile out, or add its magnitudes; or"
            f" are {key[0]} and {key[1]} not degrees (J2000)?"
        )
    else:
        cause = (
            f"rows lie near the tile (its first source lies at {place}): are {key[0]} and {key[1]}"
            f" degrees (J2000), is {table.radius:g} arcsec enough?"
        )
    raise BadDataError(
        f"{opened.where}: {number} of {len(found_N)} sources of the tile find their magnitudes by"
        f" {table.by}; {cause}"
    )


def _covers(opened: Table, key: tuple[str, ...], rows: pa.Table, sources: Sources) -> bool:
    """Whether a row with a position lies within `NEAR` of a source."""
    ra_M, dec_M = positions(opened, rows, key)
    near = match_positions(sources.ra_N, sources.dec_N, ra_M, dec_M, NEAR)
    return bool(near.matched_N.any())


def _magnitude_columns(
    where: str, rows: pa.Table, suffixes: MagnitudeSuffixes
) -> dict[str, NDArray[Any]]:
    """MAG_GAAP as floats; FLAG_GAAP with a mask, 0 where the table has none."""
    columns: dict[str, NDArray[Any]] = {}
    for suffix in (suffix for group in suffixes.values() for suffix in group):
        magnitude, flag = f"MAG_GAAP_{suffix}", f"FLAG_GAAP_{suffix}"
        columns[magnitude] = reals(where, rows, magnitude)
        none = np.zeros(len(rows), np.int32)
        columns[flag] = integers(where, rows, flag) if flag in rows.column_names else none
    return columns


def _declinations(sources: Sources, radius: float) -> tuple[float, float]:
    margin = radius / 3600
    return float(sources.dec_N.min()) - margin, float(sources.dec_N.max()) + margin
