"""Arrow columns as columns of a FITS binary table: their cards, and their rows as bytes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run import schema
from photoz_run.catalogue.arrow_fields import (
    about,
    check_complete,
    code_and_size,
    fixed_width,
    is_text,
    longest_text,
)
from photoz_run.catalogue.fits_cards import LONGEST, Card, card
from photoz_run.errors import BadDataError, ConfigError

STORED = {"L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
NULLS = {"I": -(2**15), "J": schema.TNULL, "K": -(2**63)}
DISPLAY = {"L": "L1", "B": "I3", "I": "I6", "J": "I11", "K": "I20", "E": "F9.5", "D": "F13.8"}
"""How a column of the dictionary is shown (TDISP): with as many digits as its numbers have."""
GENERAL = {"E": "G15.7", "D": "G24.16"}
"""How floats of unknown range are shown: with all their digits."""
UNPRINTABLE = r"[^\x20-\x7e]"
"""What a text of a FITS file must not contain."""


@dataclass(frozen=True)
class FitsColumn:
    """One column of a FITS table."""

    field: pa.Field
    code: str
    """The letter of its FITS type."""
    size: int
    """Elements of a row, or characters of a text."""

    @cached_property
    def stored(self) -> tuple[Any, ...]:
        """Its name, type and shape in the records of the file."""
        if self.code == "A":
            return (self.field.name, f"S{self.size}")
        shape = (self.size,) if pa.types.is_fixed_size_list(self.field.type) else ()
        return (self.field.name, STORED[self.code], shape)

    @property
    def null(self) -> int | None:
        """The integer that means null (TNULL), if the column may hold one."""
        return NULLS.get(self.code) if self.field.nullable else None

    def cards(self, number: int) -> list[Card]:
        """All that a header says of the column; ``number`` counts from 1."""
        description = about(self.field)
        values = {
            "TTYPE": self.field.name,
            "TFORM": f"{self.size}{self.code}" if self.code == "A" or self.size != 1 else self.code,
            # ESO's archive asks for an empty text where there is no unit.
            "TUNIT": description.get("unit", ""),
            "TUCD": description.get("ucd"),
            "TCOMM": description.get("description"),
            "TNULL": self.null,
            "TDISP": self._display(),
        }
        return [
            card(f"{keyword}{number}", value)
            for keyword, value in values.items()
            if value is not None
        ]

    def _display(self) -> str:
        if self.code == "A":
            return f"A{self.size}"
        known = self.field.name in schema.BY_NAME or self.field.name == schema.QUANTILES.name
        return DISPLAY[self.code] if known else GENERAL.get(self.code, DISPLAY[self.code])

    def values(self, column: pa.ChunkedArray) -> NDArray[Any]:
        """The column's rows as the file stores them.

        Raises
        ------
        BadDataError
            If a value is null in a column that allows none, or a text does not fit in.
        """
        check_complete(self.field, column)
        array = column.combine_chunks()
        if self.code == "A":
            return self._texts(array)
        if not pa.types.is_fixed_size_list(array.type):
            return self._numbers(array)
        size = array.type.list_size
        elements = array.values.slice(array.offset * size, len(array) * size)
        rows_NS = self._numbers(elements).reshape(-1, size)
        if not array.null_count:
            return rows_NS
        null_N = array.is_null().to_numpy(zero_copy_only=False)
        return np.where(null_N[:, None], self._missing(), rows_NS)

    def _missing(self) -> Any:
        return np.nan if self.code in "ED" else NULLS.get(self.code, 0)

    def _numbers(self, array: pa.Array) -> NDArray[Any]:
        if self.code == "L":
            return self._logicals(array)
        native = np.dtype(STORED[self.code]).newbyteorder("=")
        wide = array.cast(pa.from_numpy_dtype(native))
        self._refuse_meant_as_null(wide)
        wide = wide.fill_null(self._missing())
        numbers: NDArray[Any] = wide.to_numpy(zero_copy_only=False)
        return numbers

    def _refuse_meant_as_null(self, numbers: pa.Array) -> None:
        if self.null is not None and pc.any(pc.equal(numbers, self.null)).as_py():
            raise BadDataError(
                f"column {self.field.name}: {self.null} is one of its values, and means null in"
                " FITS; leave the column out, or give it a wider type"
            )

    def _logicals(self, array: pa.Array) -> NDArray[Any]:
        """The letters T and F, and 0 for null."""
        true_N = array.fill_null(False).to_numpy(zero_copy_only=False)
        valid_N = array.is_valid().to_numpy(zero_copy_only=False)
        return np.where(valid_N, np.where(true_N, ord("T"), ord("F")), 0)

    def _texts(self, array: pa.Array) -> NDArray[np.bytes_]:
        texts = array.cast(pa.string()).fill_null("")
        self._check(texts)
        return fixed_width(texts, self.size)

    def _check(self, texts: pa.Array) -> None:
        too_long = pc.greater(pc.binary_length(texts), self.size)
        unprintable = pc.match_substring_regex(texts, UNPRINTABLE)
        self._refuse(texts, too_long, f"longer than {self.size} characters")
        self._refuse(texts, unprintable, "not printable ASCII")

    def _refuse(self, texts: pa.Array, wrong: pa.Array, reason: str) -> None:
        if pc.any(wrong).as_py():
            first = texts.filter(wrong)[0].as_py()
            raise BadDataError(
                f"column {self.field.name}: {first!r} is {reason}; its FITS column cannot hold it"
            )


def fits_columns(arrow: pa.Schema, widths: Mapping[str, int]) -> list[FitsColumn]:
    """The columns of a FITS table for ``arrow``.

    Parameters
    ----------
    arrow
        The columns in Arrow.
    widths
        Characters of the text columns that have no length in the dictionary.

    Raises
    ------
    ConfigError
        If FITS has no type for a column, or two names differ in upper and lower case only.
    """
    seen: dict[str, str] = {}
    for name in arrow.names:
        other = seen.setdefault(name.upper(), name)
        if other is not name:
            raise ConfigError(
                f"columns {other} and {name}: FITS does not tell their names apart; leave one out"
            )
        if len(name) > LONGEST:
            raise ConfigError(f"column {name}: FITS has no room for so long a name; leave it out")
    return [_fits_column(field, widths) for field in arrow]


def _fits_column(field: pa.Field, widths: Mapping[str, int]) -> FitsColumn:
    if not is_text(field.type):
        return FitsColumn(field, *code_and_size(field))
    known = schema.BY_NAME.get(field.name)
    if known:
        return FitsColumn(field, "A", known.length)
    return FitsColumn(field, "A", max(1, widths.get(field.name, 0)))


def text_widths(batches: Iterable[pa.Table]) -> dict[str, int]:
    """The characters of the longest text of each text column, over all ``batches``."""
    widths: dict[str, int] = {}
    for batch in batches:
        for field in batch.schema:
            if is_text(field.type):
                longest = longest_text(batch[field.name])
                widths[field.name] = max(widths.get(field.name, 0), longest)
    return widths


def packed(table: pa.Table, columns: Sequence[FitsColumn]) -> NDArray[Any]:
    """The rows of ``table`` as the records of the file, big-endian."""
    records = np.zeros(table.num_rows, np.dtype([column.stored for column in columns]))
    for column in columns:
        records[column.field.name] = column.values(table.column(column.field.name))
    return records
