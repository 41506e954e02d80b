"""How a text file sets out its table: where the names stand, and what separates the columns."""

import csv
from dataclasses import dataclass
from pathlib import Path

from photoz_run.errors import BadDataError
from photoz_run.tables.streams import first_bytes

LOOKED_AT = 1 << 18
"""Bytes in which the header must end."""
SEPARATORS = ("\t", ",", ";", "|")
"""Tried in this order; a line without any of them is separated by blanks."""
BLANKS = " "


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
    ``#`` that has as many names: the layout of 2dFLenS, of TOPCAT and of numpy.

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
    for line in reversed(lines[:place]):
        for between in dict.fromkeys((separator, _separator(line))):
            names = split(line.lstrip("# \t"), between)
            if len(names) == len(cells) and line.strip():
                return Layout(tuple(names), separator, place, encoding)
    raise BadDataError(
        f"{path}: a text table whose columns have no names: put a line with # and their"
        f" {len(cells)} names above the rows"
    )


def split(line: str, separator: str) -> list[str]:
    """The cells of a line, without quotes."""
    blanks = separator == BLANKS
    text = " ".join(line.split()) if blanks else line
    cells = next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])
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
