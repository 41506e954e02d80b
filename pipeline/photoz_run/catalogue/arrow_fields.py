"""What an Arrow field is in the formats of a catalogue: a text or a number, of which size, described how."""

import pyarrow as pa

from photoz_run.errors import BadDataError, ConfigError

CODES = {
    pa.bool_(): "L",
    pa.uint8(): "B",
    pa.int8(): "I",
    pa.int16(): "I",
    pa.uint16(): "J",
    pa.int32(): "J",
    pa.uint32(): "K",
    pa.int64(): "K",
    pa.float32(): "E",
    pa.float64(): "D",
}
"""The letter of the FITS type that holds every value of an Arrow type; what FITS lacks goes into the next wider one."""


def about(field: pa.Field) -> dict[str, str]:
    """The metadata of a field (unit, ucd, description, levels) as text."""
    return {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds texts."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def code_and_size(field: pa.Field) -> tuple[str, int]:
    """The FITS letter of a field of numbers, and how many a row holds.

    Raises
    ------
    ConfigError
        If FITS has no type for it.
    """
    listed = pa.types.is_fixed_size_list(field.type)
    kind, size = (field.type.value_type, field.type.list_size) if listed else (field.type, 1)
    if kind not in CODES:
        raise ConfigError(
            f"column {field.name}: FITS has no column type for {field.type}; leave it out"
        )
    # An unsigned byte has no value to spare for null.
    return ("I" if kind == pa.uint8() and field.nullable else CODES[kind]), size


def check_complete(field: pa.Field, values: pa.ChunkedArray) -> None:
    """Refuse nulls in a column that has none by the dictionary; `BadDataError` says which."""
    if values.null_count and not field.nullable:
        raise BadDataError(
            f"column {field.name}: {values.null_count} rows have no value, and every row must have one"
        )
