"""What is said alike of many tiles is said once, with their names."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from photoz_models.documents import Record
from photoz_run.flags import MANY
from photoz_run.records import Status, TileOutcome

EXAMPLES = 5
"""Tiles named for each group."""


@dataclass(frozen=True)
class FailureGroup(Record):
    """Quarantined tiles with the same reason but for names and numbers."""

    error: str
    reason: str
    """In full if it is one tile, else without names and numbers."""
    tiles: tuple[str, ...]


@dataclass(frozen=True)
class TileGroup(Record):
    """Tiles of which the same is said but for names and numbers."""

    words: str
    """In full if it is one tile, else without names and numbers."""
    tiles: tuple[str, ...]


def group_failures(outcomes: Iterable[TileOutcome]) -> tuple[FailureGroup, ...]:
    """Quarantined tiles by what went wrong, the largest group first."""
    said: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for outcome in outcomes:
        said[outcome.error].append((outcome.tile, outcome.reason))
    groups = [
        FailureGroup(error, group.words, group.tiles)
        for error, reasons in said.items()
        for group in alike(reasons)
    ]
    return tuple(sorted(groups, key=lambda group: (-len(group.tiles), group.error, group.reason)))


def group_remarks(outcomes: Iterable[TileOutcome]) -> tuple[TileGroup, ...]:
    """What is odd about tiles that could be used, said once for all tiles alike."""
    return alike((outcome.tile, remark) for outcome in outcomes for remark in remarks_of(outcome))


def remarks_of(outcome: TileOutcome) -> tuple[str, ...]:
    """What is odd about a tile, above all that nothing of a full catalogue was selected."""
    rows = outcome.catalogue_rows or 0
    if outcome.status is Status.NO_WORK and rows >= MANY:
        return (*outcome.remarks, f"none of its {rows:,} sources is selected")
    return outcome.remarks


def alike(said: Iterable[tuple[str, str]]) -> tuple[TileGroup, ...]:
    """Tiles, each with words about it, by these words; the largest group first."""
    groups: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for tile, words in said:
        groups[plain_words(words, tile)][tile] = words.removeprefix(f"{tile}: ")
    found = [
        TileGroup(plain if len(full) > 1 else next(iter(full.values())), tuple(sorted(full)))
        for plain, full in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: (-len(group.tiles), group.words)))


def named(tiles: Sequence[str], where: str) -> str:
    """The first tiles by name, how many more there are, and where all are listed."""
    more = len(tiles) - EXAMPLES
    rest = f" and {more:,} more ({where} lists all)" if more > 0 else ""
    return ", ".join(tiles[:EXAMPLES]) + rest


def in_lines(groups: Iterable[TileGroup], where: str) -> list[str]:
    """A line for each group: its tiles, as `named` names them, and what is said of them."""
    return [f"{named(group.tiles, where)}: {group.words}" for group in groups]


def plain_words(words: str, tile: str) -> str:
    """Words without the tile's name, folders and numbers, so that equal causes read the same."""
    # A pattern for each tile would take longer to compile than to use.
    words = words.replace(tile.partition("_")[2] or tile, "\0")
    words = re.sub(r"(\S*/)?\w+?_(DR[\d.]+_)?\0_?", "", words)
    words = re.sub(r"(?<![\w.])[-+]?\d+(\.\d+)?(?![\w.])", "#", words)
    return words.lstrip(" :")
