"""VOTables that astropy would read otherwise than they are written are refused."""

import re
import warnings
from pathlib import Path
from typing import IO, Any

from astropy.io.votable import parse
from astropy.io.votable.exceptions import VOWarning, conf

from photoz_run.errors import BadDataError
from photoz_run.tables.inference import EMPTY
from photoz_run.tables.streams import BLOCK, open_bytes

ELSEWHERE = re.compile(rb"<(?:\w+:)?(?:(FITS)\b|STREAM\b[^<>]*\bhref\s*=)")
LONGEST = 4096
"""Bytes of an element that may lie across two blocks."""
COPY = "write them into it, stilts tcopy IN OUT ofmt=votable"
LOST = {
    "W30": "a number that cannot be read",
    "W37": "rows in a format that VOTable does not have",
    "W38": "a packed STREAM",
    "W46": "texts longer than the arraysize of their FIELD",
    "W51": "whole numbers beyond the datatype of their FIELD",
}
"""What astropy says and goes on: the number is missing, the rows are, the text is cut."""
LITERAL = re.compile(r"literal for float '(.*)'\.  Treating", re.DOTALL)
ROWS = re.compile(r"nrows=(\d+), but table contains (\d+)")


def refuse_rows_elsewhere(path: Path) -> None:
    """Refuse rows in another file, which astropy would fetch, or in FITS: `BadDataError`."""
    with open_bytes(path) as stream:
        last = b""
        while block := stream.read(BLOCK):
            if found := ELSEWHERE.search(last + block):
                what = "are FITS" if found[1] else "lie in another file"
                raise BadDataError(f"{path}: a VOTable whose rows {what}; {COPY}")
            last = block[-LONGEST:]


def parsed(path: Path, stream: IO[bytes]) -> Any:
    """A VOTable as astropy reads it.

    Raises
    ------
    BadDataError
        If that is not what is written: values would be missing, cut, or others.
    """
    lost: list[str] = []

    def listen(message: Warning | str, *_: Any, **__: Any) -> None:
        if not lost and (what := _what_is_lost(message)):
            lost.append(what)

    with warnings.catch_warnings(), conf.set_temp("max_warnings", 2**31):
        warnings.simplefilter("always")
        warnings.showwarning = listen
        try:
            file = parse(stream, verify="warn")
        except VOWarning as error:
            # Some of the warnings of astropy are errors, and no ValueError.
            raise ValueError(str(error)) from error
    if lost:
        raise BadDataError(f"{path}: a VOTable that cannot be read as it is written: {lost[0]}")
    return file


def _what_is_lost(message: Warning | str) -> str:
    """What a warning of astropy says of values that are lost, "" if none is."""
    code, said = type(message).__name__, str(message)
    if code == "W18":
        found = ROWS.search(said)
        fewer = found is not None and int(found[2]) < int(found[1])
        return f"{found[2]} rows of {found[1]} (nrows); copy it again" if found and fewer else ""
    if code == "W30" and (literal := LITERAL.search(said)) and literal[1].strip() in EMPTY:
        return ""
    if code not in LOST:
        return ""
    return f"{LOST[code]} ({said.partition(f'{code}: ')[2].strip()}); mend it"
