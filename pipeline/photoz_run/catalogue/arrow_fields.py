"""What an Arrow field is in the formats of a catalogue: text or number, size, description."""

from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.errors import BadDataError, ConfigError

Texts: TypeAlias = pa.Array | pa.ChunkedArray

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
"""The letter of the FITS type that holds every value of an Arrow type.

A type that FITS lacks is stored as the next wider one.
"""


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
    """The FITS letter of a field of numbers, and how many numbers a row holds.

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
    # All 256 values of an unsigned byte may occur, so that none is left to mean null.
    return ("I" if kind == pa.uint8() and field.nullable else CODES[kind]), size


def check_complete(field: pa.Field, values: pa.ChunkedArray) -> None:
    """Refuse nulls in a column in which the dictionary allows none.

    Raises
    ------
    BadDataError
        With the column and the number of nulls.
    """
    if values.null_count and not field.nullable:
        raise BadDataError(
            f"column {field.name}: {values.null_count} rows have no value, and every row must"
            " have one"
        )


def longest_text(texts: Texts) -> int:
    """Bytes of the longest text, 0 if there is none."""
    plain = texts.cast(pa.string()) if pa.types.is_dictionary(texts.type) else texts
    return pc.max(pc.binary_length(plain)).as_py() or 0


def fixed_width(texts: Texts, width: int) -> NDArray[np.bytes_]:
    """Texts as an array of ``width`` bytes each, filled up with zeros; a null is an empty text.

    No text may be longer than ``width``.
    """
    if isinstance(texts, pa.ChunkedArray):
        parts = [fixed_width(chunk, width) for chunk in texts.chunks]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, f"S{width}"), *parts])
    plain = texts.cast(pa.string())
    # Texts of one width lie one after the other in Arrow's memory, as they do in an array.
    filled = plain
    if plain.null_count or not _all_as_wide(plain, width):
        filled = pc.ascii_rpad(plain.fill_null(""), width, padding="\0")
    _, offsets, characters = filled.buffers()
    if characters is None:
        return np.empty(0, f"S{width}")
    first = int(np.frombuffer(offsets, np.int32)[filled.offset])
    return np.frombuffer(characters, f"S{width}", len(filled), first)


def _all_as_wide(texts: pa.Array, width: int) -> bool:
    ends = pc.min_max(pc.binary_length(texts)).as_py()
    return bool(ends["min"] == ends["max"] == width)
