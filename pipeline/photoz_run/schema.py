"""The column dictionary: name, type, unit, UCD, null, description; read from ``columns.yaml``.

Parquet metadata, FITS cards, the VOTable and the docs page are generated from it. Missing values
are null in Parquet; in FITS they are NaN (floats) or TNULL (integers).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TNULL = -(2**31)
"""The FITS null of int32 columns; no valid MASK or flag has this value."""
DICTIONARY = Path(__file__).with_name("columns.yaml")
DTYPES = {"boolean": "b1", "short": "i2", "int": "i4", "long": "i8", "float": "f4", "double": "f8"}
"""numpy's types for the datatypes of Felis; texts are ``U`` with their length where it is fixed."""


@dataclass(frozen=True)
class Column:
    """One column; ``dtype`` is a numpy type string, ``null`` says whether a row may lack it."""

    name: str
    dtype: str
    unit: str
    ucd: str
    null: bool
    description: str
    principal: bool = False
    """Whether a reader wants it at first sight."""

    @property
    def length(self) -> int:
        """The characters of a text."""
        return int(self.dtype.removeprefix("U"))


def _dictionary() -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    tables: list[dict[str, Any]] = yaml.load(DICTIONARY.read_bytes(), Loader=loader)["tables"]
    return tables


def _column(felis: dict[str, Any]) -> Column:
    kind = felis["datatype"]
    return Column(
        felis["name"],
        DTYPES.get(kind) or f"U{felis.get('length', '')}",
        felis.get("fits:tunit", ""),
        felis["ivoa:ucd"],
        felis.get("nullable", True),
        felis["description"],
        felis.get("tap:principal") == 1,
    )


_TABLES = _dictionary()
TABLES = {table["name"]: tuple(_column(column) for column in table["columns"]) for table in _TABLES}
DESCRIPTIONS = {table["name"]: table["description"] for table in _TABLES}
COLUMNS = TABLES["photoz"]
BY_NAME = {column.name: column for column in COLUMNS}
QUANTILES = TABLES["on_request"][0]
"""The column that holds all quantiles of a source, if it was asked for."""


def with_ucd(ucd: str) -> Column:
    """The one catalogue column with this UCD: ``pos.eq.ra;meta.main`` is the right ascension."""
    (column,) = (column for column in COLUMNS if column.ucd == ucd)
    return column
