"""How far a run is, read from its directory alone: outcomes of tiles and locks of processes."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from photoz_models.documents import Record, no_collection
from photoz_run.alike import FailureGroup, TileGroup, group_failures, group_remarks, in_lines
from photoz_run.records import Status, TileOutcome
from photoz_run.run.fetch_status import FetchStatus, read_fetching
from photoz_run.run.ledger import RunDirectory
from photoz_run.run.lock import Holder, WorkState, holders
from photoz_run.run.summary import total
from photoz_run.run.task import NOT_FETCHED
from photoz_run.science.zero_point import deviant_words

NOT_IN_IT = "tiles that are not in this catalogue"
"""How a line begins that tells which tiles a run or a release lacks."""


@dataclass(frozen=True)
class HostCount(Record):
    """Tries of tiles on one host: those that ended well, and those that did not."""

    good: int
    failed: int


@dataclass(frozen=True)
class WorkingProcess(Record):
    """A driver, or a share of a run, that works now."""

    host: str
    pid: int
    lock: str
    """Name of its lock: ``driver``, ``shard-3-of-32`` ..."""
    seconds_since_beat: float

    @classmethod
    def of(cls, holder: Holder) -> "WorkingProcess":
        """The process that holds a lock."""
        record = holder.record
        return cls(record.host, record.pid, holder.name, round(holder.age, 1))

    def __str__(self) -> str:
        seconds = max(0, self.seconds_since_beat)
        return f"process {self.pid} on {self.host} (last sign of life {seconds:.0f} s ago)"


@dataclass(frozen=True)
class Rates:
    """What the processes that work now do in a second, together, and how much they have done."""

    tiles: float
    rows: float
    bytes: float

    @classmethod
    def of(cls, states: Sequence[WorkState]) -> "Rates | None":
        """The sum over processes that work side by side; ``None`` if none has finished a tile."""
        timed = [state for state in states if state.seconds]
        if not any(state.finished for state in timed):
            return None
        return cls(
            sum(state.finished / state.seconds for state in timed),
            sum(state.rows / state.seconds for state in timed),
            sum(state.bytes / state.seconds for state in timed),
        )


@dataclass(frozen=True, kw_only=True)
class RunStatus(Record):
    """How far a run is. Rates are ``None`` where nobody works on it."""

    run: str
    model: str
    tiles: Mapping[str, int]
    rows: int
    flags: Mapping[str, int]
    workers: int
    tiles_per_hour: float | None
    galaxies_per_second: float | None
    bytes_per_second: float | None
    seconds_left: float | None
    quarantined: Mapping[str, str]
    """Reason by tile."""
    working: tuple[WorkingProcess, ...]
    hosts: Mapping[str, HostCount]
    failures: tuple[FailureGroup, ...]
    remarks: tuple[TileGroup, ...]
    """What is odd about tiles that could be used."""
    deviant: tuple[str, ...]
    """Tiles whose zero-point in a band stands out among the others', with the sigma."""
    problems: tuple[str, ...]
    """Records of tiles that cannot be used; such tiles count as PENDING."""
    fetching: FetchStatus | None = None
    """Of a run over tiles from afar."""

    @property
    def total(self) -> int:
        """Tiles of the run."""
        return sum(self.tiles.values())

    def told(self) -> list[str]:
        """What a reader of its catalogue must know: tiles that are not in it, and odd ones."""
        lacking = {
            name: number
            for name, number in self.tiles.items()
            if number and name not in (Status.DONE, Status.NO_WORK)
        }
        words = ", ".join(f"{number:,} {name}" for name, number in lacking.items())
        lines = [f"{NOT_IN_IT}: {words}, of {self.total:,}"] if lacking else []
        return lines + in_lines(self.remarks, "photoz status --json")


@no_collection()
def read_status(path: Path) -> RunStatus:
    """The status of the run in ``path``.

    Raises
    ------
    ConfigError, DocumentError
        If it is no run directory, or one of another version.
    """
    directory = RunDirectory(path)
    manifest = directory.read_manifest()
    recorded = directory.usable_outcomes()
    run_digest = manifest.run_digest
    outcomes = {
        tile: outcome
        for tile, outcome in recorded.by_tile.items()
        if tile in manifest.inputs and outcome.run_digest == run_digest
    }
    bad = [o for o in outcomes.values() if o.status is Status.QUARANTINED]
    working = [holder for holder in holders(directory.locks) if holder.alive]
    states = [holder.record.state for holder in working if holder.record.state]
    tiles = _count(manifest.tiles, outcomes, states)
    left = sum(tiles[name] for name in ("RUNNING", "FAILED", "PENDING"))
    rates = Rates.of(states)
    return RunStatus(
        run=str(path),
        model=manifest.model,
        tiles=tiles,
        rows=sum(outcome.rows_out for outcome in outcomes.values()),
        flags=total(outcome.flag_counts for outcome in outcomes.values()),
        workers=sum(state.workers for state in states),
        tiles_per_hour=rates.tiles * 3600 if rates else None,
        galaxies_per_second=rates.rows if rates else None,
        bytes_per_second=rates.bytes if rates else None,
        seconds_left=left / rates.tiles if rates else None,
        quarantined={outcome.tile: outcome.reason for outcome in bad},
        working=tuple(WorkingProcess.of(holder) for holder in working),
        hosts=count_hosts(outcomes.values()),
        failures=group_failures(bad),
        remarks=group_remarks(outcomes.values()),
        deviant=deviant_words(outcomes),
        problems=recorded.problems,
        fetching=read_fetching(
            manifest.config, {t for state in states for t in state.running}, outcomes.values()
        ),
    )


def count_hosts(outcomes: Iterable[TileOutcome]) -> dict[str, HostCount]:
    """Tries by host, from the outcomes and the failures before them; in order of name.

    A tile that was not to be had from afar tells nothing of hosts.
    """
    good, failed = Counter[str](), Counter[str]()
    for outcome in outcomes:
        failed.update(failure.host for failure in outcome.earlier)
        counter = failed if outcome.status is Status.QUARANTINED else good
        if outcome.host and outcome.error != NOT_FETCHED:
            counter[outcome.host.partition(":")[0]] += 1
    return {
        host: HostCount(good[host], failed[host]) for host in sorted(good.keys() | failed.keys())
    }


def _count(
    wanted: Collection[str], outcomes: Mapping[str, TileOutcome], states: Sequence[WorkState]
) -> dict[str, int]:
    """Tiles by status; RUNNING and FAILED are those that the working processes tell of."""
    open_tiles = set(wanted) - outcomes.keys()
    counts = {status.value: 0 for status in Status}
    counts |= Counter(outcome.status.value for outcome in outcomes.values())
    counts["RUNNING"] = sum(tile in open_tiles for state in states for tile in state.running)
    counts["FAILED"] = sum(tile in open_tiles for state in states for tile in state.failed)
    counts["PENDING"] = len(wanted) - sum(counts.values())
    return counts
