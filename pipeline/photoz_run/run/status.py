"""How far a run is, read from its directory alone: marks, quarantine records and the locks of those who work on it."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photoz_run.records import Status, TileOutcome
from photoz_run.run.ledger import RunDirectory, read_json, run_digest
from photoz_run.run.lock import Holder, holders
from photoz_run.run.summary import total

EXAMPLES = 5
"""Tiles named for each group of failures."""


@dataclass(frozen=True)
class FailureGroup:
    """Quarantined tiles with the same reason but for names and numbers."""

    error: str
    reason: str
    tiles: tuple[str, ...]


@dataclass(frozen=True)
class HostCount:
    """Tries of tiles on one host: those that ended well, and those that did not."""

    good: int
    failed: int


@dataclass(frozen=True)
class RunStatus:
    """How far a run is. Rates are those of the processes that work on it now; ``None`` where there are none."""

    run: str
    model: str
    tiles: Mapping[str, int]
    rows: int
    flags: Mapping[str, int]
    working: tuple[Holder, ...]
    workers: int
    tiles_per_hour: float | None
    galaxies_per_second: float | None
    bytes_per_second: float | None
    seconds_left: float | None
    hosts: Mapping[str, HostCount]
    failures: tuple[FailureGroup, ...]
    quarantined: Mapping[str, str]

    @property
    def total(self) -> int:
        """Tiles of the run."""
        return sum(self.tiles.values())

    def as_dict(self) -> dict[str, Any]:
        """The status for ``--json``."""
        plain = {
            key: value
            for key, value in vars(self).items()
            if key not in ("working", "hosts", "failures")
        }
        return plain | {
            "working": [
                {
                    "host": one.record.host,
                    "pid": one.record.pid,
                    "as": one.name,
                    "seconds_since_beat": round(one.age, 1),
                }
                for one in self.working
            ],
            "hosts": {name: vars(count) for name, count in self.hosts.items()},
            "failures": [vars(group) for group in self.failures],
        }


def read_status(path: Path) -> RunStatus:
    """The status of the run in ``path``.

    Raises
    ------
    ConfigError
        If it is no run directory.
    """
    directory = RunDirectory(path)
    manifest = read_json(directory.manifest)
    wanted = set(manifest["tiles"])
    digest = run_digest(manifest)
    outcomes = {
        t: o for t, o in directory.outcomes().items() if t in wanted and o.run_digest == digest
    }
    working = tuple(holder for holder in holders(directory.locks) if holder.alive)
    states = [holder.record.state for holder in working if holder.record.state]
    tiles = _count(wanted, outcomes, states)
    finished, seconds = (sum(state[key] for state in states) for key in ("finished", "seconds"))
    # Shards work side by side: their rates add up, their times do not.
    rates = {
        key: sum(s[key] / s["seconds"] for s in states if s["seconds"])
        for key in ("finished", "rows", "bytes")
    }
    known = bool(states and finished and seconds)
    left = sum(tiles[name] for name in ("RUNNING", "FAILED", "PENDING"))
    bad = {
        tile: outcome.reason
        for tile, outcome in outcomes.items()
        if outcome.status is Status.QUARANTINED
    }
    return RunStatus(
        run=str(path),
        model=manifest["model"],
        tiles=tiles,
        rows=sum(outcome.rows_out for outcome in outcomes.values()),
        flags=total(outcome.flag_counts for outcome in outcomes.values()),
        working=working,
        workers=sum(state["workers"] for state in states),
        tiles_per_hour=rates["finished"] * 3600 if known else None,
        galaxies_per_second=rates["rows"] if known else None,
        bytes_per_second=rates["bytes"] if known else None,
        seconds_left=left / rates["finished"] if known else None,
        hosts=count_hosts(outcomes.values()),
        failures=group_failures([o for o in outcomes.values() if o.status is Status.QUARANTINED]),
        quarantined=bad,
    )


def count_hosts(outcomes: Iterable[TileOutcome]) -> dict[str, HostCount]:
    """Tries by host, from the outcomes and the failures before them; in order of name."""
    good, failed = Counter[str](), Counter[str]()
    for outcome in outcomes:
        failed.update(failure.host for failure in outcome.earlier)
        counter = failed if outcome.status is Status.QUARANTINED else good
        if outcome.host:
            counter[outcome.host.partition(":")[0]] += 1
    return {
        host: HostCount(good[host], failed[host]) for host in sorted(good.keys() | failed.keys())
    }


def group_failures(outcomes: Iterable[TileOutcome]) -> tuple[FailureGroup, ...]:
    """Quarantined tiles by what went wrong, the largest group first."""
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.error, plain_reason(outcome.reason, outcome.tile)].append(outcome.tile)
    sized = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        FailureGroup(error, reason, tuple(sorted(tiles))) for (error, reason), tiles in sized
    )


def plain_reason(reason: str, tile: str) -> str:
    """A reason without the tile's name, folders and numbers, so that equal causes read the same."""
    position = re.escape(tile.partition("_")[2])
    text = re.sub(rf"(\S*/)?\w+?_(DR[\d.]+_)?{position}_?", "", reason)
    text = re.sub(r"(?<![\w.])[-+]?\d+(\.\d+)?(?![\w.])", "#", text)
    return text.lstrip(" :")


def _count(
    wanted: Collection[str],
    outcomes: Mapping[str, TileOutcome],
    states: Iterable[Mapping[str, Any]],
) -> dict[str, int]:
    counts = {status.value: sum(o.status is status for o in outcomes.values()) for status in Status}
    states = list(states)
    for name, key in (("RUNNING", "running"), ("FAILED", "failed")):
        counts[name] = sum(
            tile in wanted and tile not in outcomes for state in states for tile in state[key]
        )
    counts["PENDING"] = len(wanted) - sum(counts.values())
    return counts
