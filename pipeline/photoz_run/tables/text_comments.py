"""Comments of a text table: lines that begin with ``#``, unless they may be rows."""

import re

from photoz_run.errors import BadDataError
from photoz_run.tables.text_layout import BLANKS, Layout, is_number, split

COMMENT = re.compile(rb"^[ \t]*#[^\n]*\n?", re.MULTILINE)
OUTSIDE_QUOTES = re.compile(rb'(?<![^\n,;\t|])("(?:[^"]|"")*")|^[ \t]*#[^\n]*\n?', re.MULTILINE)
"""A text in quotes may hold a line that begins so."""


def without_comments(lines: bytes, layout: Layout, where: str) -> bytes:
    """Lines without comments.

    Raises
    ------
    BadDataError
        If one may be a row: an ID ``#1`` that nobody has quoted, or a row that was taken out.
    """
    if b"#" not in lines or not COMMENT.search(lines):
        return lines
    pattern = COMMENT if layout.separator == BLANKS else OUTSIDE_QUOTES

    def kept(found: re.Match[bytes]) -> bytes:
        if pattern is OUTSIDE_QUOTES and found[1] is not None:
            return found[1]
        _refuse_row(found[0].decode(layout.encoding, errors="replace"), layout, where)
        return b""

    return pattern.sub(kept, lines)


def _refuse_row(line: str, layout: Layout, where: str) -> None:
    """Refuse ``#1 180.2 0.3``; not ``# 1 180.2 0.3``, nor the names once more."""
    line = line.lstrip(" \t").rstrip("\r\n")
    cells = split(line, layout.separator)
    fits = len(cells) == len(layout.names) > 1 and not line[1:2].isspace()
    same = cells[0].lstrip("#") == layout.names[0]
    # Between blanks any comment of so many words would fit.
    like_row = layout.separator != BLANKS or any(map(is_number, cells[1:]))
    if fits and like_row and not same and cells[0] != "#":
        raise BadDataError(
            f"{where}: the line {line[:40]!r} may be a row or a comment: write {cells[0]!r} in"
            " quotes if it is a value, else put a blank behind #"
        )
