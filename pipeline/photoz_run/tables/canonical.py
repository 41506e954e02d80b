"""One form of a value in Arrow, whatever a container calls it; what is missing is null.

Numbers keep their type (integers stay integers, those that a database wrote as decimals too), NaN
is null. Text is ``large_string`` without blanks around it, and blank text is null. Lists and times
stay what they are.
"""

from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

TEXT = pa.large_string()
BLANKS = " \t\r\n\0"


def canonical(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a column in their one form.

    Raises
    ------
    pyarrow.ArrowInvalid
        If there is a whole number beyond 64 bits.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return canonical(values.cast(kind.value_type))
    if is_text(kind) or is_bytes(kind):
        return text(values)
    if pa.types.is_decimal(kind):
        wide = values.cast(pa.decimal128(38, kind.scale)) if kind.bit_width < 128 else values
        # Arrow makes 0.30000000000000004 of the decimal 0.3, and 0.3 of its text.
        return wide.cast(pa.int64()) if kind.scale == 0 else wide.cast(TEXT).cast(pa.float64())
    if isinstance(kind, pa.BaseExtensionType):
        return _as_stored(values)
    if pa.types.is_float16(kind):
        return canonical(values.cast(pa.float32()))
    if pa.types.is_floating(kind):
        return without_nan(values)
    return values


def canonical_type(kind: pa.DataType) -> pa.DataType:
    """The type that `canonical` gives."""
    return canonical(pa.chunked_array([], kind)).type


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds texts, categories of texts among them."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a type holds bytes: texts as astropy writes them to Parquet."""
    tests = (
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
    )
    return any(test(kind) for test in tests)


def is_list(kind: pa.DataType) -> bool:
    """Whether a row of this type is more than one value."""
    return bool(pa.types.is_nested(kind))


def text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts or bytes as text without blanks around it, null where nothing is left.

    Fortran and IDL write texts to the right of their field: "  STAR" is a star.
    """
    if is_bytes(values.type):
        values = _decoded(values.cast(pa.large_binary()))
    trimmed = pc.ascii_trim(values.cast(TEXT), characters=BLANKS)
    blank = pc.equal(pc.binary_length(trimmed), 0)
    return pc.if_else(blank, None, trimmed) if pc.any(blank).as_py() else trimmed


def with_codes(rows: pa.Table) -> pa.Table:
    """Rows whose texts are dictionaries: each different text once, and a code in each row."""
    for place, field in enumerate(rows.schema):
        if field.type == TEXT:
            rows = rows.set_column(place, field.name, rows[place].dictionary_encode())
    return rows


def without_nan(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Floats with null in the place of NaN."""
    undefined = pc.is_nan(values)
    # A null of arrow: None would be made one by way of pandas.
    null = pa.nulls(1, values.type)[0]
    return pc.if_else(undefined, null, values) if pc.any(undefined).as_py() else values


def masked(values: pa.ChunkedArray, mask: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values with null where a mask column, as astropy writes it beside them, is true or not 0."""
    covered = mask if pa.types.is_boolean(mask.type) else pc.not_equal(mask, 0)
    return pc.if_else(pc.fill_null(covered, True), None, values)


def _as_stored(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """What an extension of Arrow's types stores; an UUID as it is written."""
    kind = values.type
    if kind == pa.uuid():
        stored = values.cast(kind.storage_type).to_pylist()
        written = [None if value is None else str(UUID(bytes=value)) for value in stored]
        return pa.chunked_array([pa.array(written, TEXT)])
    stored = canonical(values.cast(kind.storage_type))
    return stored.cast(pa.bool_()) if kind == pa.bool8() else stored


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes as UTF-8, or as Latin-1 where they are not UTF-8."""
    try:
        return values.cast(TEXT)
    except pa.ArrowInvalid:
        decoded = [None if b is None else b.decode("latin-1") for b in values.to_pylist()]
        return pa.chunked_array([pa.array(decoded, TEXT)])
