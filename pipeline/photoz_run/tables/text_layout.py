"""How a text file sets out its table: where the names stand, and what separates the columns."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
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
    separator = _separator(lines[place])
    cells = split(lines[place], separator)
    if not any(_is_number(cell) for cell in cells):
        return Layout(tuple(cells), separator, place + 1, encoding)
    if names := _names_above(lines[:place], separator, len(cells)):
        return Layout(names, separator, place, encoding)
    raise BadDataError(
        f"{path}: a text table whose columns have no names: put a line with # and their"
        f" {len(cells)} names above the rows"
    )


def _names_above(lines: Sequence[str], separator: str, number: int) -> tuple[str, ...]:
    """The names of so many columns in the lines with ``#`` above the rows; none if none has."""
    numbered = [found for line in lines if (found := NUMBERED.match(line))]
    if [int(found[1]) for found in numbered] == list(range(1, number + 1)):
        return tuple(found[2] for found in numbered)
    for line in reversed(lines):
        # A line may have its names between commas, and the rows theirs between blanks.
        for between in dict.fromkeys((_separator(line), separator)):
            names = split(line.lstrip("# \t"), between)
            if len(names) == number and line.strip() and not any(map(_is_number, names)):
                return tuple(names)
    return ()


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


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_utf8(content: bytes) -> bool:
    try:
        # The last character may be cut.
        content[: max(0, len(content) - 4)].decode("utf8")
    except UnicodeDecodeError:
        return False
    return True
