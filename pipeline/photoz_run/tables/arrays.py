"""Columns of a table as numpy arrays: numbers, texts, or any values with what is missing masked."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.tables.canonical import is_list, is_text
from photoz_run.tables.numbers import arrow_numbers, numpy_numbers
from photoz_run.tables.refusals import wrong_content
from photoz_run.tables.text_layout import is_number as is_number_text

WHOLE_BITS = {pa.float32(): 24, pa.float64(): 53}
"""Floating-point numbers hold whole ones up to 2 to the power of this."""
LOOKED_AT = 100_000
"""Values among which one is sought that tells why a column is text."""


def floats(where: str, rows: pa.Table, name: str) -> NDArray[np.float64]:
    """A column of numbers as float64, NaN where it is missing.

    Raises
    ------
    BadDataError
        If it holds anything else; the message gives one of the values.
    """
    values = rows[name]
    if not is_number(values.type):
        raise wrong_content(where, name, what_it_holds(values), "a number")
    return np.asarray(_with_nan(values.cast(pa.float64(), safe=False)), np.float64)


def reals(where: str, rows: pa.Table, name: str) -> NDArray[np.floating]:
    """A column of numbers, NaN where it is missing; floats in their own precision.

    Raises
    ------
    BadDataError
        If it holds anything else.
    """
    if rows[name].type == pa.float32():
        return np.asarray(_with_nan(rows[name]), np.float32)
    return floats(where, rows, name)


def integers(where: str, rows: pa.Table, name: str) -> "np.ma.MaskedArray[Any, Any]":
    """A column of whole numbers, a bit mask for instance, in its type; what is missing is masked.

    Floats will do if they are whole: what some libraries make of integers with nulls.

    Raises
    ------
    BadDataError
        If it holds anything else.
    """
    values = rows[name]
    if is_number(values.type) and not pa.types.is_integer(values.type):
        if lost := digits_lost(values):
            raise wrong_content(where, name, lost, "a whole number")
        numbers = values.cast(pa.float64())
        if pc.any(pc.not_equal(numbers, pc.floor(numbers))).as_py():
            raise wrong_content(where, name, "fractions", "a whole number")
        rows = rows.set_column(rows.column_names.index(name), name, values.cast(pa.int64()))
    elif not pa.types.is_integer(values.type):
        raise wrong_content(where, name, what_it_holds(values), "a whole number")
    return masked(where, rows, name)


def digits_lost(values: pa.ChunkedArray) -> str:
    """What is told of floating-point numbers so large that they are whole by chance, else ""."""
    bits = WHOLE_BITS.get(values.type)
    if bits is None or not pc.any(pc.greater_equal(pc.abs(values), 2.0**bits)).as_py():
        return ""
    return f"floating-point numbers beyond 2^{bits}, which have lost their last digits"


def texts(rows: pa.Table, name: str) -> NDArray[np.str_]:
    """A column of IDs or names as texts, "" where it is missing; numbers as they are written."""
    values = rows[name].cast(pa.large_string()).fill_null("")
    return np.array(values.to_pylist(), dtype=np.str_)


def masked(where: str, rows: pa.Table, name: str) -> "np.ma.MaskedArray[Any, Any]":
    """A column in its own type, what is missing masked: 0, False, NaN or "" lies below.

    Lists are refused: `BadDataError`.
    """
    values = rows[name]
    kind = values.type
    if is_list(kind):
        raise wrong_content(where, name, what_it_holds(values), "one value a row")
    missing = values.is_null().to_numpy() if values.null_count else np.ma.nomask
    if pa.types.is_null(kind):
        return np.ma.MaskedArray(np.full(len(values), np.nan), missing)
    filled = pc.fill_null(values, _below(kind)) if values.null_count else values
    if is_text(kind):
        array = np.array(filled.to_pylist(), np.str_)
    elif is_number(kind):
        array = numpy_numbers(filled)
    else:
        array = filled.to_numpy()
    return np.ma.MaskedArray(array, missing)


def is_number(kind: pa.DataType) -> bool:
    """Whether a type holds numbers; a column without any value may be one of numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def what_it_holds(values: pa.ChunkedArray) -> str:
    """A column in words, with its first value: text ('abc'), true or false, lists of 3."""
    kind = values.type
    if pa.types.is_fixed_size_list(kind):
        return f"lists of {kind.list_size}"
    if is_list(kind):
        return "lists"
    if pa.types.is_boolean(kind):
        return "true or false"
    if is_text(kind):
        present = values.drop_null().slice(0, LOOKED_AT).to_pylist()
        words = (one for one in present if not is_number_text(one))
        return f"text ({next(words, present[0])!r})" if present else "text"
    return str(kind)


def _with_nan(values: pa.ChunkedArray) -> NDArray[Any]:
    """Floats, NaN where they are missing."""
    if values.null_count:
        nan = arrow_numbers(np.full(1, np.nan, values.type.to_pandas_dtype()))[0]
        values = pc.fill_null(values, nan)
    return numpy_numbers(values)


def _below(kind: pa.DataType) -> Any:
    """What lies below the mask: a value that numpy holds without changing the type."""
    if is_text(kind):
        return ""
    if pa.types.is_floating(kind):
        return float("nan")
    if pa.types.is_boolean(kind):
        return False
    return pa.scalar(0, pa.int64()).cast(kind) if pa.types.is_integer(kind) else None
