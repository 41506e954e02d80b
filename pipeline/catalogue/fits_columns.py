"""Arrow columns as columns of a FITS binary table: their cards, and their rows as bytes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import schema
from pipeline.catalogue.fits_cards import Card, card
from pipeline.errors import BadDataError, ConfigError

CODES = {
    pa.bool_(): "L",
    pa.uint8(): "B",
    pa.int8(): "I",
    pa.int16(): "I",
    pa.uint16(): "J",
    pa.int32(): "J",
    pa.uint32(): "K",
    pa.int64(): "K",
    pa.float16(): "E",
    pa.float32(): "E",
    pa.float64(): "D",
}
"""The FITS type that holds every value of an Arrow type; what FITS lacks goes into the next wider one."""
STORED = {"L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
NULLS = {"I": -(2**15), "J": schema.TNULL, "K": -(2**63)}
DISPLAY = {"L": "L1", "B": "I3", "I": "I6", "J": "I11", "K": "I20", "E": "F9.5", "D": "F13.8"}
"""How a column of the dictionary is shown (TDISP): as wide as its numbers, with as many digits as they have."""
GENERAL = {"E": "G15.7", "D": "G24.16"}
"""How floats of unknown range are shown: with all their digits."""


@dataclass(frozen=True)
class FitsColumn:
    """One column: ``code`` is the letter of its FITS type, ``size`` its elements per row or characters of its text."""

    field: pa.Field
    code: str
    size: int

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
        """TTYPE, TFORM, TUNIT, TUCD, TCOMM, TNULL and TDISP of column ``number``, counted from 1."""
        about = {key.decode(): value.decode() for key, value in (self.field.metadata or {}).items()}
        repeat = self.size if self.code == "A" or self.size != 1 else ""
        values = {
            "TTYPE": self.field.name,
            "TFORM": f"{repeat}{self.code}",
            "TUNIT": about.get("unit"),
            "TUCD": about.get("ucd"),
            "TCOMM": about.get("description"),
            "TNULL": self.null,
            "TDISP": self._display(),
        }
        return [card(f"{keyword}{number}", value) for keyword, value in values.items() if value is not None]

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
            If a text does not fit into the column.
        """
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if self.code == "A":
            return self._texts(array)
        if not pa.types.is_fixed_size_list(array.type):
            return self._numbers(array)
        size = array.type.list_size
        rows = self._numbers(array.values.slice(array.offset * size, len(array) * size)).reshape(-1, size)
        if array.null_count:
            rows = np.where(array.is_null().to_numpy(zero_copy_only=False)[:, None], self._missing(), rows)
        return rows

    def _missing(self) -> Any:
        if self.code in "ED":
            return np.nan
        return 0 if self.null is None else self.null

    def _numbers(self, array: pa.Array) -> NDArray[Any]:
        if self.code == "L":
            truth = np.where(array.fill_null(False).to_numpy(zero_copy_only=False), ord("T"), ord("F"))
            return np.where(array.is_valid().to_numpy(zero_copy_only=False), truth, 0)
        wide = array.cast(pa.from_numpy_dtype(np.dtype(STORED[self.code]).newbyteorder("=")))
        numbers: NDArray[Any] = wide.fill_null(self._missing()).to_numpy(zero_copy_only=False)
        return numbers

    def _texts(self, array: pa.Array) -> NDArray[np.bytes_]:
        texts = array.cast(pa.string()).fill_null("")
        self._check(texts)
        # A text padded with NUL to its width is what the file holds.
        padded = pc.ascii_rpad(texts, self.size, padding="\0")
        if not len(padded):
            return np.empty(0, f"S{self.size}")
        _, offsets, data = padded.buffers()
        first = np.frombuffer(offsets, np.int32)[padded.offset]
        return np.frombuffer(data, f"S{self.size}", len(padded), first)

    def _check(self, texts: pa.Array) -> None:
        wrong = pc.or_(pc.greater(pc.binary_length(texts), self.size), pc.invert(pc.string_is_ascii(texts)))
        if pc.any(wrong).as_py():
            text = texts.filter(wrong)[0].as_py()
            reason = f"longer than {self.size} characters" if text.isascii() else "not ASCII"
            raise BadDataError(f"column {self.field.name}: {text!r} is {reason}; FITS cannot hold it")


def fits_columns(arrow: pa.Schema, widths: Mapping[str, int]) -> list[FitsColumn]:
    """The columns of a FITS table for ``arrow``; ``widths`` are the characters of texts without a length.

    Raises
    ------
    ConfigError
        If FITS has no type for a column.
    """
    return [_fits_column(field, widths) for field in arrow]


def _fits_column(field: pa.Field, widths: Mapping[str, int]) -> FitsColumn:
    if _is_text(field.type):
        length = schema.BY_NAME[field.name].dtype[1:] if field.name in schema.BY_NAME else widths.get(field.name)
        return FitsColumn(field, "A", max(1, int(length or 1)))
    listed = pa.types.is_fixed_size_list(field.type)
    kind, size = (field.type.value_type, field.type.list_size) if listed else (field.type, 1)
    if kind not in CODES:
        raise ConfigError(f"column {field.name}: FITS has no column type for {field.type}; leave it out")
    # An unsigned byte has no value to spare for null.
    return FitsColumn(field, "I" if kind == pa.uint8() and field.nullable else CODES[kind], size)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def text_widths(batches: Iterable[pa.Table]) -> dict[str, int]:
    """The characters of the longest text of each text column, over all ``batches``."""
    widths: dict[str, int] = {}
    for batch in batches:
        for field in batch.schema:
            if _is_text(field.type):
                longest = pc.max(pc.binary_length(batch[field.name].cast(pa.string()))).as_py() or 0
                widths[field.name] = max(widths.get(field.name, 0), longest)
    return widths


def packed(table: pa.Table, columns: Sequence[FitsColumn]) -> NDArray[Any]:
    """The rows of ``table`` as the records of the file, big-endian."""
    records = np.zeros(table.num_rows, np.dtype([column.stored for column in columns]))
    for column in columns:
        records[column.field.name] = column.values(table.column(column.field.name))
    return records
