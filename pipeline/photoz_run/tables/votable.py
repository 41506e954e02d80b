"""Tables of a VOTable, read by astropy; the whole file passes through memory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from photoz_run.errors import BadDataError
from photoz_run.tables.canonical import TEXT
from photoz_run.tables.names import told_apart
from photoz_run.tables.refusals import explained
from photoz_run.tables.streams import open_bytes
from photoz_run.tables.systems import Stated, of_coosys
from photoz_run.tables.table import Range, Table
from photoz_run.tables.votable_faults import parsed, refuse_rows_elsewhere


def open_votable(path: Path) -> list[Table]:
    """Every table of a VOTable.

    Raises
    ------
    BadDataError
        If it has none, cannot be read, would not be read as it is written, or its server says that
        rows are missing.
    """
    with explained(path, "VOTable"):
        refuse_rows_elsewhere(path)
        with open_bytes(path) as stream:
            file = parsed(path, stream)
        tables = [one for one in file.iter_tables() if one.fields]
    for info in file.iter_info():
        _check_query(path, info)
    if not tables:
        raise BadDataError(f"{path}: a VOTable without a table")
    names = told_apart([one.name or one.ID or "" for one in tables], range(1, len(tables) + 1))
    systems = [
        {"ID": one.ID, "system": one.system, "equinox": one.equinox} for one in file.iter_coosys()
    ]
    return [VoTable(path, one, name, systems) for one, name in zip(tables, names, strict=True)]


class VoTable(Table):
    """One TABLE of a VOTable."""

    container = "VOTable"

    def __init__(
        self, path: Path, table: Any, name: str, systems: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__(path, name)
        self._systems = of_coosys(systems, {field.name: field.ref for field in table.fields})
        self._table = table
        self._places = {field.name: k for k, field in reversed(list(enumerate(table.fields)))}

    def __len__(self) -> int:
        return len(self._table.array)

    def stored_names(self) -> Sequence[str]:
        """The names of its FIELDs."""
        return [field.name for field in self._table.fields]

    def stored_field(self, name: str) -> pa.Field:
        """Its type, unit, UCD and description."""
        field = self._table.fields[self._places[name]]
        facts = {"unit": field.unit, "ucd": field.ucd, "description": field.description}
        said = {key: str(value) for key, value in facts.items() if value}
        return pa.field(name, self._values(name, slice(0, 0)).type, True, said)

    def stated_system(self, name: str) -> Stated:
        """That of the COOSYS it refers to."""
        return self._systems.of(name)

    def stored_parts(
        self, names: Sequence[str], rows: int, within: Range | None
    ) -> Iterator[pa.Table]:
        """Slices of what was read."""
        for start in range(0, len(self), rows):
            part = slice(start, start + rows)
            yield pa.table({name: self._values(name, part) for name in names})

    def _values(self, name: str, rows: slice) -> pa.Array:
        field = self._table.fields[self._places[name]]
        column = self._table.array[self._table.array.dtype.names[self._places[name]]]
        values = np.ma.getdata(column)[rows]
        missing = np.ma.getmaskarray(column)[rows]
        if field.datatype in ("char", "unicodeChar"):
            return pa.array([_text(value) for value in values], TEXT)
        if values.ndim > 1 and values.shape[1:] == (1,):
            # arraysize="1", as some services write of every column.
            values, missing = values[:, 0], missing[:, 0]
        if values.ndim > 1 or values.dtype.kind in "Oc":
            return pa.nulls(len(values), pa.list_(pa.float64()))
        native = values.astype(values.dtype.newbyteorder("="))
        return pa.array(native, mask=missing)


def _check_query(path: Path, info: Any) -> None:
    """Refuse what a server says is not all that was asked for (IVOA DALI 1.1, section 4.4)."""
    if str(info.name).upper() != "QUERY_STATUS":
        return
    status, reason = str(info.value).upper(), " ".join(str(info.content or "").split())
    said = f"QUERY_STATUS {status}" + (f": {reason}" if reason else "")
    if status == "OVERFLOW":
        raise BadDataError(
            f"{path}: its server left rows out ({said}); ask for all of them (MAXREC), or delete"
            " that INFO if a part will do"
        )
    if status == "ERROR":
        raise BadDataError(f"{path}: the query failed ({said}); ask again")


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf8", errors="replace")
    return str(value) if isinstance(value, str) else None
