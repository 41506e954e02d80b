"""Spectroscopic redshifts: the reliable rows of tables, and what became of the rest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.errors import BadDataError, ConfigError, context
from photoz_run.science.selection import select
from photoz_run.tables.arrays import floats, masked
from photoz_run.tables.keys import positions
from photoz_run.tables.opening import open_table
from photoz_run.tables.table import Table
from photoz_run.tables.units import refuse_other_than_redshift
from photoz_run.validation.settings import SpecSettings
from photoz_run.validation.surveys import SpecColumns, recognise

LOWEST, HIGHEST = 0.001, 8.0
"""Galaxies lie between: stars are within 0.001 of 0, codes at -9, 9.9999, 99, 999999."""
MAGNITUDE_LIKE = 0.5
"""Share of values above `HIGHEST` from which on a column holds no redshifts."""
REASONS = {
    "poor": "fail the cut on quality",
    "no position": "have no position",
    "no redshift": "have no redshift",
    "code": f"are a code, below -{LOWEST} or above {HIGHEST:g}",
    "near zero": f"lie within {LOWEST} of 0: stars, or no redshift",
}
"""Why a row is left out, in this order."""


@dataclass(frozen=True)
class SpecTable:
    """What was read of one table: columns, cut, and rows left out, by reason."""

    file: str
    columns: SpecColumns
    rows: int
    dropped: dict[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """Rows, those that fail the cut, those that cannot be used, and those used."""
        poor = self.dropped["poor"]
        unusable = sum(self.dropped.values()) - poor
        used = self.rows - poor - unusable
        return {"rows": self.rows, "poor": poor, "unusable": unusable, "used": used}

    @property
    def dropped_words(self) -> str:
        """What was left out of the good rows, in words; "" for nothing."""
        named = [(self.dropped[name], words) for name, words in REASONS.items() if name != "poor"]
        return ", ".join(f"{number:,} {words}" for number, words in named if number)


@dataclass(frozen=True)
class SpecSample:
    """Reliable spectroscopic redshifts of one or several tables, in order of priority.

    ``source_M`` indexes ``sources``, the names of ``tables``.
    """

    ra_M: NDArray[np.float64]
    dec_M: NDArray[np.float64]
    z_M: NDArray[np.float64]
    source_M: NDArray[np.int16]
    tables: dict[str, SpecTable]

    def __len__(self) -> int:
        return len(self.z_M)

    def without_rows(self) -> "SpecSample":
        """What is known of the tables, without their redshifts."""
        none = np.empty(0)
        return SpecSample(none, none, none, np.empty(0, np.int16), self.tables)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the tables."""
        return tuple(self.tables)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """By source: rows of the table, ``poor``, ``unusable`` and ``used`` ones."""
        return {name: table.counts for name, table in self.tables.items()}

    @property
    def remarks(self) -> list[str]:
        """What to know of the tables: no cut was made, or redshifts were codes."""
        remarks = []
        for name, table in self.tables.items():
            if table.columns.remark:
                remarks.append(f"{name}: {table.columns.remark}")
            if words := table.dropped_words:
                remarks.append(f"{name}: left out of {table.rows:,} rows: {words}")
        return remarks


def read_specz(tables: Sequence[SpecSettings]) -> SpecSample:
    """Read and select spec-z tables; earlier tables have priority where several hold one galaxy.

    Raises
    ------
    ConfigError
        If columns are missing or not recognised; the message says which exist.
    BadDataError
        If a table has no usable redshift at all.
    """
    if not tables:
        raise ConfigError("no spec-z table: give --specz FILE")
    parts: list[NDArray[np.float64]] = []
    found: dict[str, SpecTable] = {}
    for settings in tables:
        part_3M, table = _read_one(settings)
        parts.append(part_3M)
        found[_unique(table.columns.name, list(found))] = table
    ra_M, dec_M, z_M = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    source_M = np.repeat(np.arange(len(parts), dtype=np.int16), [len(part.T) for part in parts])
    return SpecSample(ra_M, dec_M, z_M, source_M, found)


def usable_redshifts(z_N: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
    """Where a value is no redshift of a galaxy, by reason; each row once."""
    with np.errstate(invalid="ignore"):
        missing = ~np.isfinite(z_N)
        code = (z_N < -LOWEST) | (z_N > HIGHEST)
        near_zero = np.abs(z_N) <= LOWEST
    return {"no redshift": missing, "code": code & ~missing, "near zero": near_zero & ~missing}


def refuse_magnitudes(where: str, name: str, z_N: NDArray[np.float64]) -> None:
    """Refuse a column most of whose values are no redshifts: `BadDataError`, with the median."""
    present = z_N[np.isfinite(z_N)]
    if len(present) and np.mean(present > HIGHEST) > MAGNITUDE_LIKE:
        raise BadDataError(
            f"{where}: column {name} holds no redshifts: their median is {np.median(present):.6g};"
            " name the redshift, --z"
        )


def _read_one(settings: SpecSettings) -> tuple[NDArray[np.float64], SpecTable]:
    """Right ascension, declination and redshift of the good rows, shape (3, M)."""
    table, columns = _open(settings)
    number, stop = len(table), 0
    good_3M = np.empty((3, number))
    dropped = Counter({name: 0 for name in REASONS})
    for rows in table.batches(columns.needed):
        good_3K = _good_rows(table, columns, rows, dropped)
        start, stop = stop, stop + good_3K.shape[1]
        good_3M[:, start:stop] = good_3K
    if not stop:
        said = [f"{dropped[name]:,} {words}" for name, words in REASONS.items() if dropped[name]]
        raise BadDataError(
            f"{table.where}: none of its {number} rows has a usable redshift"
            f" ({', '.join(said)}; cut {columns.quality or 'none'!r})"
        )
    return good_3M[:, :stop], SpecTable(str(settings.file), columns, number, dict(dropped))


def _open(settings: SpecSettings) -> tuple[Table, SpecColumns]:
    """The table of a file whose columns are recognised, and these."""

    def will_do(table: Table) -> bool:
        try:
            return not table.missing(recognise(table, settings).needed)
        except ConfigError:
            return False

    try:
        table = open_table(settings.file, will_do)
        if not len(table):
            raise BadDataError(f"{table.where}: it has no rows, so there is no spec-z in it")
        columns = recognise(table, settings)
        table.require(columns.needed)
        refuse_other_than_redshift(table, columns.z)
    except BadDataError as error:
        # No tile is to blame: the table is the user's to mend.
        raise ConfigError(str(error)) from error
    return table, columns


def _good_rows(
    table: Table, columns: SpecColumns, rows: pa.Table, dropped: Counter[str]
) -> NDArray[np.float64]:
    """The good rows of a batch; ``dropped`` is told of the others."""
    z_N = floats(table.where, rows, columns.z)
    refuse_magnitudes(table.where, columns.z, z_N)
    ra_N, dec_N = positions(table, rows, (columns.ra, columns.dec))
    good_N = _select(table, columns, rows)
    reasons = {"poor": ~good_N, "no position": ~np.isfinite(ra_N), **usable_redshifts(z_N)}
    left_N = np.ones(len(z_N), bool)
    for reason, bad_N in reasons.items():
        dropped[reason] += int((bad_N & left_N).sum())
        left_N &= ~bad_N
    return np.stack([ra_N[left_N], dec_N[left_N], z_N[left_N]])


def _select(table: Table, columns: SpecColumns, rows: pa.Table) -> NDArray[np.bool_]:
    if not columns.quality:
        return np.ones(len(rows), bool)
    named = [name for name in columns.needed if name in rows.column_names]
    values = {name: masked(table.where, rows, name) for name in named}
    with context(f"{table.where}: cut"):
        return select(columns.quality, values, len(rows))


def _unique(name: str, taken: Sequence[str]) -> str:
    """The name, numbered where two tables have the same."""
    if name not in taken:
        return name
    return next(f"{name} {k}" for k in range(2, len(taken) + 2) if f"{name} {k}" not in taken)
