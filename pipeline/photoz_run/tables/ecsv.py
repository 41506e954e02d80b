"""ECSV: a text table whose header says what each column is (astropy APE 6)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from astropy.table.meta import get_header_from_yaml

from photoz_run.errors import BadDataError
from photoz_run.tables.canonical import TEXT
from photoz_run.tables.plain_yaml import read_yaml
from photoz_run.tables.refusals import explained
from photoz_run.tables.streams import open_bytes
from photoz_run.tables.systems import Stated, Systems, of_yaml
from photoz_run.tables.table import Table
from photoz_run.tables.text_layout import Layout, split
from photoz_run.tables.text_tables import TextTable

TYPES = {
    "bool": pa.bool_(),
    "float16": pa.float32(),
    "float128": pa.float64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": TEXT,
    **{
        f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")()
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


def open_ecsv(path: Path) -> list[Table]:
    """The table of an ECSV file."""
    with explained(path, "ECSV file"):
        comments, names_line = _header(path)
        said = get_header_from_yaml(comments)
        separator = said.get("delimiter", " ")
        names = tuple(split(names_line, separator))
        fields = {column["name"]: _field(column) for column in said["datatype"]}
        systems = of_yaml(read_yaml("\n".join(comments[1:])))
    if set(names) != set(fields):
        raise BadDataError(f"{path}: the names of its columns and those of its header differ")
    return [EcsvTable(path, Layout(names, separator, len(comments) + 1), fields, systems)]


class EcsvTable(TextTable):
    """A text table with declared types."""

    container = "ECSV file"

    def __init__(
        self, path: Path, layout: Layout, fields: Mapping[str, pa.Field], systems: Systems
    ) -> None:
        super().__init__(path, layout, fields)
        self._systems = systems

    def stated_system(self, name: str) -> Stated:
        """That of the SkyCoord it belongs to, or of the meta of the table."""
        return self._systems.of(name)


def _header(path: Path) -> tuple[list[str], str]:
    """The header as YAML, and the line with the names."""
    comments: list[str] = []
    with open_bytes(path) as stream:
        for line in stream:
            text = line.decode("utf8").rstrip("\r\n")
            if not text.startswith("#"):
                return comments, text
            comments.append(text.removeprefix("#").removeprefix(" "))
    raise BadDataError(f"{path}: an ECSV file without a line that names its columns")


def _field(column: dict[str, Any]) -> pa.Field:
    """A column as the header declares it; lists and objects become a list, which nobody takes."""
    single = "subtype" not in column and column["datatype"] in TYPES
    kind = TYPES[column["datatype"]] if single else pa.list_(TEXT)
    facts = {key: str(column[key]) for key in ("unit", "description") if column.get(key)}
    return pa.field(column["name"], kind, True, facts)
