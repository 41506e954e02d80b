"""Further columns of a tile's catalogue: what its header says of them."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from photoz_run.survey.catalogues import IDENTITY
from photoz_run.tables.canonical import is_text
from photoz_run.tables.opening import open_table

SAID = ("unit", "ucd", "description")
LOGICAL = " (1 true, 0 false)"
"""What the description of a truth value says."""


def kept_fields(path: Path, names: Sequence[str]) -> list[pa.Field]:
    """Columns of a catalogue as they come out, with unit, UCD and description (TUNIT, TUCD, TCOMM).

    Raises
    ------
    BadDataError
        If the catalogue cannot be read, lacks a column, or has lists in it.
    """
    table = open_table(path, [*IDENTITY, *names])
    return [described(field, "the input catalogue") for field in table.single(names)]


def described(field: pa.Field, table: str) -> pa.Field:
    """A field with what its table says of it, at least that it is a column of ``table``."""
    said = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    about = {key: said[key] for key in SAID if said.get(key)}
    about.setdefault("description", f"{field.name} of {table}")
    if pa.types.is_boolean(field.type):
        about["description"] += LOGICAL
    return pa.field(field.name, sayable_type(field.type), True, about)


def sayable_type(kind: pa.DataType) -> pa.DataType:
    """The type in which every reader of a release tells a missing value from a value.

    A missing truth value is False for astropy and fitsio in FITS: 0 and 1 can be missing.
    """
    if is_text(kind):
        return pa.string()
    return pa.int8() if pa.types.is_boolean(kind) else kind
