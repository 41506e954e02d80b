"""One table, whatever holds it: its names, its rows, and the columns asked for."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.errors import BadDataError
from photoz_run.tables import canonical
from photoz_run.tables.arrays import is_number, what_it_holds
from photoz_run.tables.refusals import no_column, wrong_content
from photoz_run.tables.systems import Stated

ROWS = 1 << 19
"""Rows of a batch."""
Range: TypeAlias = tuple[str, float, float]
"""A column and the least and greatest value of it."""
MASK = ".mask"
"""astropy writes a masked column as plain values, and NAME.mask: true where they are masked."""
INDEX = ("__index_level_", "__null_dask_index__")
"""How the columns begin that pandas and Dask add."""


class Table(ABC):
    """A table that can be read in batches of rows; a reader says what its container stores."""

    container: str
    """In words, for messages: FITS table, Parquet file."""

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = path
        self.name = name
        self.where = f"{path}#{name}" if name else str(path)
        """How messages call it."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of rows."""

    @abstractmethod
    def stored_names(self) -> Sequence[str]:
        """The columns as the container lists them."""

    @abstractmethod
    def stored_field(self, name: str) -> pa.Field:
        """Arrow type of a column as `stored_parts` gives it, with unit, ucd, description."""

    @abstractmethod
    def stored_parts(
        self, names: Sequence[str], rows: int, within: Range | None
    ) -> Iterator[pa.Table]:
        """Columns as the container has them, about ``rows`` rows at a time."""

    def files(self) -> list[Path]:
        """The files that hold the rows."""
        return [self.path]

    @property
    def names(self) -> list[str]:
        """The columns that hold data: without those that say which values of another are masked."""
        stored = list(self.stored_names())
        return [name for name in stored if not _is_index(name) and not _is_mask(name, stored)]

    def unit(self, name: str) -> str:
        """The unit that is stated for a column, "" for none."""
        said = self.stored_field(name).metadata or {}
        return str(said.get(b"unit", b"").decode()).strip()

    def stated_system(self, name: str) -> Stated:
        """The coordinate system that is stated for a column, ``None`` where none is."""
        return None

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of ``names`` that the table does not have; capitals count."""
        present = set(self.names)
        return [name for name in names if name not in present]

    def fields(self, names: Sequence[str]) -> list[pa.Field]:
        """Columns with the type that `read` gives, and what the container says of them.

        Raises
        ------
        BadDataError
            If one is not there, or stands there twice.
        """
        self.require(names)
        return [self._field(name) for name in names]

    def single(self, names: Sequence[str]) -> list[pa.Field]:
        """`fields` of columns with one value a row; `BadDataError` names one that has not."""
        fields = self.fields(names)
        for field in fields:
            if canonical.is_list(field.type):
                holds = what_it_holds(pa.chunked_array([], field.type))
                raise wrong_content(self.where, field.name, holds, "one value a row")
        return fields

    def require(self, names: Sequence[str]) -> None:
        """Refuse names that the table does not have, or has twice: `BadDataError`."""
        if missing := self.missing(names):
            raise no_column(self.where, missing, self.names)
        stored = list(self.stored_names())
        for name in names:
            if stored.count(name) > 1:
                raise BadDataError(f"{self.where}: {stored.count(name)} columns are called {name}")

    def batches(
        self,
        names: Sequence[str],
        lists: Collection[str] = (),
        rows: int = ROWS,
        within: Range | None = None,
    ) -> Iterator[pa.Table]:
        """The columns ``names``, about ``rows`` rows at a time, in their one form.

        Parameters
        ----------
        names
            Columns; each once in the result.
        lists
            Those that may hold lists.
        rows
            How many rows a batch has, where the container allows a choice.
        within
            A column and the range of it that is wanted: rows outside may be left out, where the
            container knows without reading them.

        Raises
        ------
        BadDataError
            If a column is not there, holds lists, or the file cannot be read.
        """
        wanted = list(dict.fromkeys(names))
        self.single([name for name in wanted if name not in lists])
        self.require(wanted)
        stored = set(self.stored_names())
        masks = {name: name + MASK for name in wanted if name + MASK in stored}
        for part in self.stored_parts([*wanted, *masks.values()], rows, within):
            yield self._canonical(part, wanted, masks)
        # The library keeps what it read with, half a gigabyte of a large table.
        pa.default_memory_pool().release_unused()

    def read(self, names: Sequence[str], lists: Collection[str] = ()) -> pa.Table:
        """The columns ``names`` of all rows, as `batches` gives them."""
        wanted = list(dict.fromkeys(names))
        parts = list(self.batches(wanted, lists))
        if parts:
            return joined(self.where, parts)
        return pa.schema([self._field(name).remove_metadata() for name in wanted]).empty_table()

    def take(
        self,
        names: Sequence[str],
        row_K: NDArray[np.integer],
        lists: Collection[str] = (),
        codes: bool = False,
    ) -> pa.Table:
        """The columns ``names`` of the rows ``row_K``, in increasing order; a batch in memory.

        With ``codes`` texts are dictionaries: where few differ, a row takes four bytes.
        """
        start, parts = 0, []
        for batch in self.batches(names, lists):
            first, last = np.searchsorted(row_K, [start, start + len(batch)])
            part = batch.take(pa.array(row_K[first:last] - start))
            parts.append(canonical.with_codes(part) if codes else part)
            start += len(batch)
        if not parts:
            return self.read(names, lists)
        return joined(self.where, parts)

    def _field(self, name: str) -> pa.Field:
        field = self.stored_field(name)
        return pa.field(name, canonical.canonical_type(field.type), True, field.metadata)

    def _canonical(self, part: pa.Table, wanted: Sequence[str], masks: dict[str, str]) -> pa.Table:
        columns = {name: self._in_one_form(name, part[name]) for name in wanted}
        for name, mask in masks.items():
            if not (pa.types.is_boolean(part[mask].type) or is_number(part[mask].type)):
                holds = what_it_holds(part[mask])
                raise wrong_content(self.where, mask, holds, "true or false")
            columns[name] = canonical.masked(columns[name], part[mask])
        return pa.table(columns)

    def _in_one_form(self, name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
        try:
            return canonical.canonical(values)
        except pa.ArrowInvalid as error:
            holds = f"{values.type} beyond 64 bits"
            raise wrong_content(self.where, name, holds, "a number") from error


class StackedTable(Table):
    """Several tables of the same layout, one after the other: the files of a folder."""

    def __init__(self, path: Path, tables: Sequence[Table]) -> None:
        super().__init__(path)
        self.tables = tables
        self.container = tables[0].container
        self._units: dict[str, str] = {}
        self._systems: dict[str, Stated] = {}

    def __len__(self) -> int:
        return sum(len(table) for table in self.tables)

    def stored_names(self) -> Sequence[str]:
        """Those of the first."""
        return self.tables[0].stored_names()

    def stored_field(self, name: str) -> pa.Field:
        """As in the first table that has values for it."""
        fields = (table.stored_field(name) for table in self.tables if not table.missing([name]))
        first = next(fields)
        if not pa.types.is_null(first.type):
            return first
        return next((field for field in fields if not pa.types.is_null(field.type)), first)

    def unit(self, name: str) -> str:
        """The unit of a column in all of them; `BadDataError` if they differ."""
        if name not in self._units:
            units = {table.unit(name): table for table in self.tables if not table.missing([name])}
            if len(units) > 1:
                stated = " and ".join(f"{unit!r} in {one.where}" for unit, one in units.items())
                raise BadDataError(f"{self.where}: column {name} has several units: {stated}")
            self._units[name] = next(iter(units), "")
        return self._units[name]

    def stated_system(self, name: str) -> Stated:
        """The first that is not ICRS, if any is stated."""
        if name not in self._systems:
            stated = [one.stated_system(name) for one in self.tables if not one.missing([name])]
            other = (one for one in stated if one is not None and not one.is_icrs)
            self._systems[name] = next(other, None)
        return self._systems[name]

    def stored_parts(
        self, names: Sequence[str], rows: int, within: Range | None
    ) -> Iterator[pa.Table]:
        """Table by table; one that lacks a column is refused by its name."""
        for table in self.tables:
            if lost := [name for name in names if name not in table.stored_names()]:
                raise no_column(table.where, lost, table.names)
            yield from table.stored_parts(names, rows, within)

    def take(
        self,
        names: Sequence[str],
        row_K: NDArray[np.integer],
        lists: Collection[str] = (),
        codes: bool = False,
    ) -> pa.Table:
        """As `Table.take`; a table without any of the rows is not read."""
        start, parts = 0, []
        for table in self.tables:
            first, last = np.searchsorted(row_K, [start, start + len(table)])
            if first < last:
                parts.append(table.take(names, row_K[first:last] - start, lists, codes))
            start += len(table)
        if not parts:
            return super().take(names, row_K, lists, codes)
        return joined(self.where, parts)

    def files(self) -> list[Path]:
        """Those of all tables."""
        return [file for table in self.tables for file in table.files()]


def joined(where: str, parts: Sequence[pa.Table]) -> pa.Table:
    """Parts of a table as one.

    Raises
    ------
    BadDataError
        If a column holds in one file what the type of another cannot hold.
    """
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        reason = str(error).splitlines()[0]
        raise BadDataError(
            f"{where}: a column has types that do not go together ({reason}); write its files anew,"
            " all of one type"
        ) from error


def _is_index(name: str) -> bool:
    return name.startswith(INDEX)


def _is_mask(name: str, stored: Sequence[str]) -> bool:
    return name.endswith(MASK) and name.removesuffix(MASK) in stored
