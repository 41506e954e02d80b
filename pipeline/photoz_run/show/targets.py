"""What is asked for: positions, IDs, or the rows of a table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photoz_run.errors import BadDataError, ConfigError
from photoz_run.facade.survey import degrees_of
from photoz_run.tables.keys import id_columns, ids, position_pair, positions
from photoz_run.tables.names import split_name
from photoz_run.tables.opening import open_table
from photoz_run.tables.refusals import explained
from photoz_run.tables.table import Table

MOST = 500
"""Targets of one page; more are a catalogue, not a list to look at."""


# Programs that round print 60 seconds; more than that, or 60 minutes, is a mistake.
_ANGLE = r"(\d+):([0-5]?\d):([0-5]?\d(?:\.\d*)?|60(?:\.0*)?)"
SEXAGESIMAL = re.compile(rf"{_ANGLE}[\s,]+([-+]?){_ANGLE}")
"""A position in hours and degrees: 12:00:02.9 -00:29:55.6."""


@dataclass(frozen=True)
class Target:
    """A source by its ID, or else a position (ICRS, deg)."""

    words: str
    """As the user named it."""
    id: str = ""
    ra: float = np.nan
    dec: float = np.nan

    @property
    def problem(self) -> str:
        """Why it cannot be looked for; empty if it can."""
        return "" if self.id or _on_sky(self.ra, self.dec) else "no position on the sky (RA, DEC)"


def parse_targets(words: Sequence[str]) -> list[Target]:
    """Targets from the words of a command: RA DEC, an ID, or a file.

    Raises
    ------
    ConfigError
        If they are none of these, or the file has too many rows.
    """
    text = " ".join(word.strip() for word in words)
    if match := SEXAGESIMAL.fullmatch(text):
        return [_position(text, *degrees_of(match))]
    numbers = [_number(part) for part in text.replace(",", " ").split()]
    if numbers and all(number is not None for number in numbers):
        if len(numbers) != 2:
            raise ConfigError(f"{text}: give right ascension and declination, deg")
        return [_position(text, *(float(number or 0) for number in numbers))]
    path = Path(text)
    if split_name(path)[0].exists():
        return _rows(path)
    if ":" in text and len(words) == 2:
        raise ConfigError(f"{text}: give right ascension and declination in degrees, or HH:MM:SS")
    return [Target(text, id=text)]


def _rows(path: Path) -> list[Target]:
    """A target for each row of a table: by its ID if it has one, else by its position."""
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; give a table of targets")
    try:
        if names := _listed_ids(path):
            _check_number(path, len(names))
            return [Target(name, id=name) for name in names]
        table = open_table(path, lambda table: bool(id_columns(table) or position_pair(table)))
        return _targets(path, table)
    except BadDataError as error:
        # No tile is to blame: the table is the user's to mend.
        raise ConfigError(str(error)) from error


def _targets(path: Path, table: Table) -> list[Target]:
    pair, key = position_pair(table), id_columns(table)
    _check_number(path, len(table))
    if not len(table) or not (pair or key):
        lacks = "no rows" if pair or key else "neither a column ID nor positions (RA, DEC)"
        raise ConfigError(f"{path}: {lacks}; a table of targets has one for each")
    rows = table.read([*key, *(pair or ())])
    if pair is None:
        return [Target(name, id=name) for name in ids(table.where, rows, key[0])]
    places = zip(*positions(table, rows, pair), strict=True)
    names = ids(table.where, rows, key[0]) if key else [""] * len(rows)
    targets = []
    for row, (name, (ra, dec)) in enumerate(zip(names, places, strict=True), start=1):
        if _on_sky(ra, dec):
            targets.append(Target(name or f"{ra:.5f} {dec:+.5f}", name, ra % 360, dec))
        else:
            targets.append(Target(name or f"row {row}", name))
    return targets


def _listed_ids(path: Path) -> list[str]:
    """The lines of a text that is a list below the word ID; none of another file.

    The IDs of KiDS hold a blank, which in a table of one column would separate two.
    """
    with explained(path, "table"), path.open("rb") as file:
        if file.readline(8).removeprefix(b"\xef\xbb\xbf").strip() != b"ID":
            return []
        lines = file.read().decode("utf8", errors="replace").splitlines()
    return [name for line in lines if (name := line.strip().strip('"').strip())]


def _check_number(path: Path, number: int) -> None:
    if number > MOST:
        raise ConfigError(
            f"{path}: {number:,} rows; photoz show looks at {MOST} at most, choose some"
        )


def _position(text: str, ra: float, dec: float) -> Target:
    if not _on_sky(ra, dec):
        raise ConfigError(f"{text}: no position on the sky; give RA and DEC, deg")
    return Target(text, ra=ra % 360, dec=dec)


def _on_sky(ra: float, dec: float) -> bool:
    """Whether numbers can be a position; those that are missing cannot."""
    return bool(abs(ra) <= 360 and abs(dec) <= 90)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
