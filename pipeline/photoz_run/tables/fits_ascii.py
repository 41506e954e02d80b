"""Columns of a FITS ASCII table: texts of fixed width, read as numbers where the header says so.

FITS standard 4.0, section 7.2. A blank number is missing: fitsio and astropy make it 0.
"""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from astropy.io.fits import Header
from numpy.typing import NDArray

from photoz_run.reading import whole_number
from photoz_run.tables.canonical import text
from photoz_run.tables.fits_columns import card_text

FORMAT = re.compile(r"\s*([AIFED])(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class AsciiColumn:
    """One column: where it lies in a row, and how a text becomes a number."""

    name: str
    letter: str
    start: int
    width: int
    decimals: int
    """Digits behind the point where none is written."""
    null: str
    scale: float
    zero: float
    unit: str
    ucd: str
    description: str
    refused: str = ""
    repeat: int = 1

    @property
    def field(self) -> pa.Field:
        """Its Arrow type, and what the header says of it."""
        kind = decode(self, np.zeros((0, self.width), np.uint8)).type
        facts = {"unit": self.unit, "ucd": self.ucd, "description": self.description}
        return pa.field(self.name, kind, True, {k: v for k, v in facts.items() if v})


def places_of(header: Header) -> list[AsciiColumn]:
    """The columns of an ASCII table, in their order."""
    return [_column(header, number) for number in range(1, whole_number(header, "TFIELDS") + 1)]


def column_at(header: Header, place: AsciiColumn) -> AsciiColumn:
    """All that the header says of a column: it is known already."""
    return place


def decode(column: AsciiColumn, bytes_NW: NDArray[np.uint8]) -> pa.Array:
    """Values of a column from its bytes, shape (rows, width of the column)."""
    cells = np.ascontiguousarray(bytes_NW).view(f"S{column.width}").reshape(-1)
    values = text(pa.chunked_array([pa.array(cells, pa.large_binary())])).combine_chunks()
    if column.null:
        values = pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), column.null), None, values)
    if column.letter == "A":
        return values
    digits = pc.utf8_ltrim(pc.utf8_trim_whitespace(values), characters="+")
    whole = column.letter == "I"
    numbers = digits.cast(pa.int64()) if whole else _floats(digits, column.decimals)
    if column.scale == 1 and column.zero == 0:
        return numbers
    return pc.add(pc.multiply(numbers.cast(pa.float64()), column.scale), column.zero)


def _column(header: Header, number: int) -> AsciiColumn:
    form = str(header[f"TFORM{number}"])
    found = FORMAT.match(form)
    if found is None:
        raise ValueError(f"TFORM{number} = {form!r} is no format of an ASCII table")
    return AsciiColumn(
        name=card_text(header, f"TTYPE{number}") or f"col{number}",
        letter=found[1],
        start=int(header[f"TBCOL{number}"]) - 1,
        width=int(found[2]),
        decimals=int(found[3] or 0),
        null=card_text(header, f"TNULL{number}"),
        scale=float(header.get(f"TSCAL{number}", 1)),
        zero=float(header.get(f"TZERO{number}", 0)),
        unit=card_text(header, f"TUNIT{number}"),
        ucd=card_text(header, f"TUCD{number}"),
        description=card_text(header, f"TCOMM{number}"),
    )


def _floats(digits: pa.Array, decimals: int) -> pa.Array:
    """Numbers as Fortran writes them: D for E, and a point that may be left out."""
    plain = pc.replace_substring_regex(digits, "[dD]", "E")
    values = plain.cast(pa.float64())
    pointless = pc.match_substring_regex(plain, "^-?[0-9]+([eE].*)?$")
    return pc.if_else(pointless, pc.divide(values, 10.0**decimals), values) if decimals else values
