"""How a text file sets out its table: where the names stand, and what separates the columns."""

import codecs
import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from photoz_run.errors import BadDataError
from photoz_run.tables.streams import first_bytes

LOOKED_AT = 1 << 18
"""Bytes in which the header must end."""
SEPARATORS = ("\t", ",", ";", "|")
"""Tried in this order; a line without any of them is separated by blanks."""
BLANKS = " "
NUMBERED = re.compile(r"#\s*(\d+)\s+([^\W\d]\S*)")
"""A line of source-extractor that tells of a column."""

REMEDY = "write it as ECSV with astropy, Table.read(IN, format='ascii.{}').write('OUT.ecsv')"
OTHERS = {
    re.compile(
        rb"(\\[^\n]*\n)*\|[^\n]*\|[ \t\r]*\n"
    ): f"an IPAC table, or one between bars; {REMEDY.format('ipac')}",
    re.compile(
        rb"(.*\n)*\s*Byte-by-byte Description of"
    ): f"an MRT or CDS table; {REMEDY.format('mrt')}",
    re.compile(rb"\s*\\(documentclass|begin)\b"): f"a LaTeX table; {REMEDY.format('latex')}",
}
"""How tables begin that are text, and none that is read."""


@dataclass(frozen=True)
class Layout:
    """Names of the columns, what separates them (`BLANKS`: any number), lines above the rows."""

    names: tuple[str, ...]
    separator: str
    skipped: int
    encoding: str = "utf8"


def layout_of(path: Path) -> Layout:
    """Find the header of a text table.

    The header is the first line without ``#``. If that is a row of values, it is the last line with
    ``#`` that has as many names: the layout of 2dFLenS, of TOPCAT and of numpy. source-extractor
    writes a line with ``#`` for each column instead: its number, its name, and what it is.

    Raises
    ------
    BadDataError
        If no line names the columns.
    """
    content = first_bytes(path, LOOKED_AT)
    encoding = "utf8" if _is_utf8(content) else "latin1"
    if b"\r" in content and b"\n" not in content:
        raise BadDataError(
            f"{path}: its lines end with carriage returns alone, as on old Macs; convert it:"
            " tr '\\r' '\\n' < IN > OUT"
        )
    # Lines as the rows are read: str.splitlines knows further ends, one of them cp1252's ellipsis.
    lines = content.decode(encoding, errors="replace").removeprefix("\ufeff").split("\n")
    place = next((k for k, line in enumerate(lines) if _is_row(line)), None)
    if place is None:
        raise BadDataError(f"{path}: a text file without a table: no line names columns")
    if known := next((what for mark, what in OTHERS.items() if mark.match(content)), ""):
        raise BadDataError(f"{path}: {known}")
    separator = _separator(lines[place])
    cells = split(lines[place], separator)
    if not any(is_number(cell) for cell in cells):
        return Layout(tuple(cells), separator, place + 1, encoding)
    if names := _names_above(lines[:place], separator, len(cells)):
        return Layout(names, separator, place, encoding)
    raise BadDataError(
        f"{path}: a text table whose columns have no names: put a line with # and their"
        f" {len(cells)} names above the rows"
    )


def _names_above(lines: Sequence[str], separator: str, number: int) -> tuple[str, ...]:
    """The names of so many columns in the lines with ``#`` above the rows; none if none has."""
    if names := _numbered_names(lines, number):
        return names
    for line in reversed(lines):
        # A line may have its names between commas, and the rows theirs between blanks.
        for between in dict.fromkeys((_separator(line), separator)):
            cells = split(line.lstrip("# \t"), between)
            if len(cells) == number and line.strip() and _are_names(cells):
                return tuple(cells)
    return ()


def _are_names(cells: Sequence[str]) -> bool:
    """Whether cells can be names of columns: neither values, nor dashes or units below names."""
    differ = len(set(cells)) == len(cells)
    return differ and all(re.search(r"\w", cell) and not is_number(cell) for cell in cells)


def _numbered_names(lines: Sequence[str], number: int) -> tuple[str, ...]:
    """Names as source-extractor tells them; of a vector the first column alone has a line."""
    found = [match for line in lines if (match := NUMBERED.match(line))]
    places = [int(match[1]) for match in found]
    rising = all(first < second for first, second in pairwise(places))
    if not places or places[0] != 1 or places[-1] > number or not rising:
        return ()
    names: list[str] = []
    for match, after in zip(found, [*places[1:], number + 1], strict=True):
        further = range(1, after - int(match[1]))
        names += [match[2], *(f"{match[2]}_{k}" for k in further)]
    return tuple(names)


def split(line: str, separator: str) -> list[str]:
    """The cells of a line, without quotes.

    Raises
    ------
    ValueError
        If it has none: a carriage return within, or a cell of more than 128 kB.
    """
    blanks = separator == BLANKS
    text = " ".join(line.split()) if blanks else line
    try:
        cells = next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])
    except csv.Error as error:
        raise ValueError(f"the line of its names: {error}") from error
    return [cell.strip() for cell in cells]


def _is_row(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _separator(line: str) -> str:
    return next((mark for mark in SEPARATORS if mark in line), BLANKS)


def is_number(cell: str) -> bool:
    """Whether a cell is a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_utf8(content: bytes) -> bool:
    try:
        # The last character may be cut: no end is told.
        codecs.getincrementaldecoder("utf8")().decode(content)
    except UnicodeDecodeError:
        return False
    return True
