"""What texts stand for: the numbers, truth values or texts of a column that a text file spells out.

Every value of a column decides, not the first block alone. An ID keeps every digit: integers beyond
64 bits, and numbers with leading zeros, stay text.
"""

from collections.abc import Iterable
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from photoz_run.tables.canonical import TEXT, canonical

EMPTY = (
    "null",
    "NULL",
    "nan",
    "NaN",
    "NAN",
    "NA",
    "N/A",
    "n/a",
    "<NA>",
    "None",
    "--",
    "---",
    r"\N",
)
"""What programs write for a missing number; in a column of texts it is a text."""
TRUTH = "^((?i:true|false)|t|f)$"
"""Truth values; PostgreSQL writes t and f."""
KEPT_AS_TEXT = r"^[+-]?0[0-9xX]"
"""Numbers whose spelling would be lost."""
DIGITS = r"^[+-]?[0-9]+$"
NUMBERS = ("null", "integer", "unsigned", "float")
TYPES = {
    "null": pa.null(),
    "truth": pa.bool_(),
    "integer": pa.int64(),
    "unsigned": pa.uint64(),
    "float": pa.float64(),
    "text": TEXT,
}


def joint_kind(kinds: Iterable[str]) -> str:
    """The kind that holds the values of all: an integer and a float make floats."""
    return reduce(_wider, kinds, "null")


def kind_of(texts: pa.ChunkedArray) -> str:
    """What the texts of a column stand for, one of `TYPES`."""
    present = _present(texts)
    if not len(present):
        return "null"
    if pc.all(pc.match_substring_regex(present, TRUTH)).as_py():
        return "truth"
    if pc.any(pc.match_substring_regex(present, KEPT_AS_TEXT)).as_py():
        return "text" if _all_digits(present) or not _casts(present, "float") else "float"
    if _casts(present, "integer"):
        return "integer"
    if _casts(present, "unsigned"):
        return "unsigned"
    if not _casts(present, "float"):
        return "text"
    return "text" if pc.any(_beyond_64_bits(present)).as_py() else "float"


def as_kind(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Texts as values of a type; blank ones and, but for text, those that say "missing" are null.

    Raises
    ------
    pyarrow.ArrowInvalid
        If one is no such value.
    """
    if kind == TEXT:
        return canonical(texts)
    values = _without_empty(texts)
    if pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(len(texts))])
    if pa.types.is_boolean(kind):
        in_full = pc.replace_substring_regex(values, "^t$", "true")
        return pc.utf8_lower(pc.replace_substring_regex(in_full, "^f$", "false")).cast(kind)
    return canonical(_unsigned_spelling(values).cast(kind))


def _wider(first: str, second: str) -> str:
    if first == second or second == "null":
        return first
    if first == "null":
        return second
    if {first, second} <= set(NUMBERS) and "float" in (first, second):
        return "float"
    return "text"


def _present(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return _unsigned_spelling(_without_empty(texts).drop_null())


def _without_empty(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    trimmed = pc.utf8_trim_whitespace(texts.cast(TEXT))
    empty = pc.is_in(trimmed, pa.array(["", *EMPTY], TEXT))
    return pc.if_else(empty, None, trimmed)


def _unsigned_spelling(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers without the plus sign, which Arrow does not read."""
    return pc.replace_substring_regex(texts, r"^\+([0-9.])", r"\1")


def _casts(texts: pa.ChunkedArray, kind: str) -> bool:
    try:
        texts.cast(TYPES[kind])
    except pa.ArrowInvalid:
        return False
    return True


def _all_digits(texts: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, DIGITS)).as_py())


def _beyond_64_bits(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.match_substring_regex(texts, r"^[+-]?[0-9]{19,}$")
