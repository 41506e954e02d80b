"""Columns that a folder keeps in the names of its folders, ``survey=KiDS/part-0.parquet``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from photoz_run.tables.extended import ExtendedTable
from photoz_run.tables.inference import TYPES, as_kind, kind_of
from photoz_run.tables.table import Range, Table

NULL = "__HIVE_DEFAULT_PARTITION__"
"""What writers call a folder of rows that have no value."""
OF_HATS = ("Norder", "Dir", "Npix")
"""Where in the sky the rows of a HATS catalogue lie: no column of its own."""


class PartitionedTable(ExtendedTable):
    """A file, and further columns with one value in all of its rows."""

    def __init__(self, own: Table, values: Mapping[str, pa.Scalar]) -> None:
        self._values = {name: one for name, one in values.items() if own.missing([name])}
        super().__init__(own, list(self._values))

    def further_field(self, name: str) -> pa.Field:
        """The type of the value."""
        return pa.field(name, self._values[name].type)

    def stored_parts(
        self, names: Sequence[str], rows: int, within: Range | None
    ) -> Iterator[pa.Table]:
        """What the file gives, and the values beside it."""
        own = [name for name in names if name not in self._values]
        read = own or list(self._own.stored_names())[:1]
        for part in self._own.stored_parts(read, rows, within):
            further = {name: self._repeated(name, len(part)) for name in self._values}
            yield pa.table({name: part[name] if name in own else further[name] for name in names})

    def _repeated(self, name: str, number: int) -> pa.Array:
        return pa.repeat(self._values[name], number)


def partitioned(folder: Path, tables: Sequence[Table]) -> list[Table]:
    """The tables of files below ``folder``, with the columns that the names between them hold."""
    texts = [_texts_in(table.path.relative_to(folder)) for table in tables]
    names = list(dict.fromkeys(name for said in texts for name in said))
    if not names:
        return list(tables)
    columns = {name: _in_one_type([said.get(name) for said in texts]) for name in names}
    return [
        PartitionedTable(table, {name: columns[name][k] for name in said})
        for k, (table, said) in enumerate(zip(tables, texts, strict=True))
    ]


def _texts_in(path: Path) -> dict[str, str | None]:
    """The values in the names of folders, as they are spelled; ``None`` for a missing one."""
    pairs = (name.partition("=") for name in path.parts[:-1])
    said = {unquote(name): value for name, equals, value in pairs if equals}
    return {
        name: None if value == NULL else unquote(value)
        for name, value in said.items()
        if name not in OF_HATS
    }


def _in_one_type(texts: Sequence[str | None]) -> pa.ChunkedArray:
    """Values as numbers if all of them are, as in a text file."""
    values = pa.chunked_array([pa.array(texts, pa.string())])
    return as_kind(values, TYPES[kind_of(values)])
