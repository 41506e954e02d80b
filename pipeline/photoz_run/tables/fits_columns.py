"""Columns of a FITS binary table: what the header says of them, and their values from the bytes.

The values are decoded here because both libraries get some wrong: fitsio 1.4.2 returns garbage for
scaled integers and is blind to capitals, astropy 8.0.2 turns undefined logicals into False
(docs/formats.md). The rules are those of the FITS standard 4.0, section 7.3.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io.fits import Header
from numpy.typing import NDArray

from photoz_run.reading import whole_number
from photoz_run.tables.numbers import arrow_numbers

FORMAT = re.compile(r"\s*(\d*)([LXBIJKAEDCMPQ])(?::SSTR(\d+))?")
STORED = {"L": "u1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8"}
WIDTHS = {"X": 0, "A": 1, "C": 8, "M": 16, "P": 8, "Q": 16}
"""Bytes of what is not a number of numpy."""
UNSIGNED: dict[tuple[str, float], type[np.integer[Any]]] = {
    ("B", -128): np.int8,
    ("I", 2**15): np.uint16,
    ("J", 2**31): np.uint32,
    ("K", 2**63): np.uint64,
}
"""Integers that FITS stores with an offset, for want of a type of their own (section 5.2.5)."""
ASTROPY_NULLS = (16959, 999999)
"""TNULL of unsigned columns as astropy writes it: the number that is read, where the standard has
the one that is stored, and where astropy itself reads it."""
REFUSED = {
    "C": "complex numbers",
    "M": "complex numbers",
    "P": "lists of variable length",
    "Q": "lists of variable length",
}


@dataclass(frozen=True)
class StoredColumn:
    """One column: where it lies in a row, how a value is stored, and how it is scaled."""

    name: str
    letter: str
    repeat: int
    start: int
    width: int
    """Bytes of a row."""
    null: int | None
    scale: float
    zero: float
    """Whole numbers as int, which holds every digit."""
    unit: str
    ucd: str
    description: str
    texts: int = 1
    """Texts of a row, where it holds text."""

    @property
    def refused(self) -> str:
        """What it holds, if that is nothing a table of this program has."""
        if self.letter == "A" and self.texts > 1:
            return f"lists of {self.texts} texts"
        if self.letter == "X" and self.repeat != 1:
            return f"{self.repeat} bits"
        return REFUSED.get(self.letter, "no value" if self.repeat == 0 else "")

    @property
    def field(self) -> pa.Field:
        """Its Arrow type, and what the header says of it."""
        kind = decode(self, np.zeros((0, self.width), np.uint8)).type
        facts = {"unit": self.unit, "ucd": self.ucd, "description": self.description}
        return pa.field(self.name, kind, True, {k: v for k, v in facts.items() if v})


@dataclass(frozen=True)
class Place:
    """Where a column lies, by what every one must say; the rest is read if it is needed."""

    name: str
    number: int
    letter: str
    repeat: int
    start: int
    width: int
    text_width: int
    """Characters of a text where TFORM says that several lie in a row (``:SSTRw``), else 0."""


def places_of(header: Header) -> list[Place]:
    """The columns of a binary table, in their order."""
    places, start = [], 0
    for number in range(1, whole_number(header, "TFIELDS") + 1):
        place = _place(header, number, start)
        places.append(place)
        start += place.width
    return places


def column_at(header: Header, place: Place) -> StoredColumn:
    """All that the header says of a column."""
    number = place.number
    return StoredColumn(
        name=place.name,
        letter=place.letter,
        repeat=place.repeat,
        start=place.start,
        width=place.width,
        null=number_or_null(header.get(f"TNULL{number}")),
        scale=_factor(header.get(f"TSCAL{number}", 1)),
        zero=_factor(header.get(f"TZERO{number}", 0)),
        unit=card_text(header, f"TUNIT{number}"),
        ucd=card_text(header, f"TUCD{number}"),
        description=card_text(header, f"TCOMM{number}"),
        texts=_texts_of_row(place, card_text(header, f"TDIM{number}")),
    )


def card_text(header: Header, card: str) -> str:
    """The text of a card, "" where there is none."""
    return str(header.get(card) or "").strip()


def decode(column: StoredColumn, bytes_NW: NDArray[np.uint8]) -> pa.Array:
    """Values of a column from its bytes, shape (rows, width of the column)."""
    if column.letter == "A":
        return _texts(bytes_NW)
    stored_NR = bytes_NW.view(_dtype(column.letter))
    flat = stored_NR.reshape(-1)
    values = _logical(column, flat) if column.letter in "LX" else _numbers(column, flat)
    if column.repeat == 1:
        return values
    return pa.FixedSizeListArray.from_arrays(values, column.repeat)


def number_or_null(value: Any) -> int | None:
    """TNULL as a number; what is none has no meaning here."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _place(header: Header, number: int, start: int) -> Place:
    form = str(header[f"TFORM{number}"])
    found = FORMAT.match(form)
    if found is None:
        raise ValueError(f"TFORM{number} = {form!r} is no format of a column")
    repeat, letter = int(found[1] or 1), found[2]
    size = np.dtype(STORED[letter]).itemsize if letter in STORED else WIDTHS[letter]
    width = (repeat + 7) // 8 if letter == "X" else repeat * size
    name = card_text(header, f"TTYPE{number}") or f"col{number}"
    return Place(name, number, letter, repeat, start, width, int(found[3] or 0))


def _texts_of_row(place: Place, dimensions: str) -> int:
    """How many texts a row has: TDIM gives their length first, then their numbers."""
    numbers = [int(number) for number in re.findall(r"\d+", dimensions)]
    if len(numbers) > 1:
        return math.prod(numbers[1:])
    return place.repeat // place.text_width if place.text_width else 1


def _factor(value: Any) -> float:
    number = float(value)
    return int(value) if number.is_integer() else number


def _dtype(letter: str) -> np.dtype[Any]:
    return np.dtype(STORED.get(letter, "u1"))


def _texts(bytes_NW: NDArray[np.uint8]) -> pa.Array:
    """Texts that end at their first NUL or fill their width."""
    rows, width = bytes_NW.shape
    if not width:
        return pa.nulls(rows, pa.large_binary())
    text_NW = np.ascontiguousarray(bytes_NW)
    ended_NW = text_NW == 0
    # NULs at the end are dropped by themselves.
    if (ended_NW[:, :-1] > ended_NW[:, 1:]).any():
        ended_NW = np.logical_or.accumulate(ended_NW, axis=1)
        text_NW = np.where(ended_NW, np.uint8(0), text_NW)
    return pa.array(text_NW.view(f"S{width}").reshape(-1), pa.large_binary())


def _logical(column: StoredColumn, stored: NDArray[np.uint8]) -> pa.Array:
    """T or F; anything else, 0 above all, is undefined. A single bit is always defined."""
    if column.letter == "X":
        return pa.array(stored >= 128)
    true, false = stored == ord("T"), stored == ord("F")
    return pa.array(true, mask=~(true | false))


def _numbers(column: StoredColumn, stored: NDArray[Any]) -> pa.Array:
    native = stored.astype(stored.dtype.newbyteorder("="))
    if native.dtype.kind == "f":
        scaled = column.scale != 1 or column.zero != 0
        # A float32 beside an offset holds more digits than a float32 of the sum.
        value = column.zero + column.scale * native.astype(np.float64) if scaled else native
        return arrow_numbers(value)
    # TNULL is a stored number: it is compared before anything is scaled.
    values = _scaled(column, native)
    missing = None if column.null is None else native == column.null
    if column.null in ASTROPY_NULLS and values.dtype.kind == "u" != native.dtype.kind:
        missing |= values == column.null
    return arrow_numbers(values, missing)


def _scaled(column: StoredColumn, native: NDArray[Any]) -> NDArray[Any]:
    """Stored integers as the numbers they stand for: integers, unless scale or offset are not."""
    scale, zero = column.scale, column.zero
    if scale == 1 and zero == 0:
        return native
    if scale == 1 and (kind := UNSIGNED.get((column.letter, zero))):
        # Adding half of the range is turning the highest bit over.
        unsigned = native.view(native.dtype.str.replace("i", "u"))
        half = unsigned.dtype.type(1 << (8 * unsigned.itemsize - 1))
        return np.asarray((unsigned ^ half).view(kind))
    if isinstance(scale, int) and isinstance(zero, int):
        ends = [int(native.min()), int(native.max())] if len(native) else [0]
        products = [scale * end for end in ends]
        if all(-(2**63) <= n < 2**63 for n in (*products, *(zero + n for n in products), zero)):
            return np.asarray(zero + scale * native.astype(np.int64))
    return np.asarray(zero + scale * native.astype(np.float64))
