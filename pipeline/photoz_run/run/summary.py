"""How a run ended, in numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from photoz_models.documents import Record
from photoz_run.alike import FailureGroup, TileGroup, group_failures, group_remarks, remarks_of
from photoz_run.errors import ExitCode
from photoz_run.records import Status, TileOutcome
from photoz_run.wording import counted


@dataclass(frozen=True)
class Reason(Record):
    """Why a tile is quarantined."""

    error: str
    """Class of the failure."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class SummaryDocument(Record):
    """What ``summary.json`` and ``photoz-run --json`` say."""

    out: str
    tiles: Mapping[str, int]
    """By status."""
    resumed: int
    """Tiles that were settled before."""
    rows: int
    seconds: float
    flags: Mapping[str, int]
    """Sources by flag."""
    counts: Mapping[str, int]
    """Matched, unmatched and ambiguous magnitudes."""
    providers: tuple[str, ...]
    quarantined: Mapping[str, Reason]
    """By tile."""
    exit_code: int
    remarks: tuple[str, ...] = ()
    """What is odd about tiles that could be used, each with its tile."""


@dataclass(frozen=True)
class RunSummary:
    """How a run, or one share of it, ended."""

    out: Path
    outcomes: Mapping[str, TileOutcome] = field(default_factory=dict)
    resumed: int = 0
    seconds: float = 0.0

    def count(self, status: Status) -> int:
        """Tiles that ended with ``status``."""
        return sum(outcome.status is status for outcome in self.outcomes.values())

    @property
    def rows(self) -> int:
        """Rows in all tile files."""
        return sum(outcome.rows_out for outcome in self.outcomes.values())

    @property
    def mixture(self) -> str:
        """That not all tiles were computed alike; empty if they were."""
        tiles = tiles_by_provider(self.outcomes.values())
        words = ", ".join(f"{name} ({counted(number, 'tile')})" for name, number in tiles.items())
        if len(tiles) < 2:
            return ""
        return f"computed on {words}: photoz model equivalence says whether that can be seen"

    @property
    def exit_code(self) -> ExitCode:
        """0 if every tile is done or has nothing to do, 3 if some are quarantined."""
        return ExitCode.QUARANTINED if self.count(Status.QUARANTINED) else ExitCode.DONE

    @property
    def _quarantined(self) -> list[TileOutcome]:
        return [o for o in self.outcomes.values() if o.status is Status.QUARANTINED]

    @property
    def failures(self) -> tuple[FailureGroup, ...]:
        """Why tiles are quarantined, said once for all tiles alike."""
        return group_failures(self._quarantined)

    @property
    def remarks(self) -> tuple[TileGroup, ...]:
        """What is odd about tiles that could be used."""
        return group_remarks(self.outcomes.values())

    @property
    def document(self) -> SummaryDocument:
        """The summary as it is written."""
        outcomes = self.outcomes.values()
        return SummaryDocument(
            out=str(self.out),
            tiles={status.value: self.count(status) for status in Status},
            resumed=self.resumed,
            rows=self.rows,
            seconds=round(self.seconds, 2),
            flags=total(outcome.flag_counts for outcome in outcomes),
            counts=total(outcome.counts for outcome in outcomes),
            providers=tuple(tiles_by_provider(outcomes)),
            quarantined={
                outcome.tile: Reason(outcome.error, outcome.reason) for outcome in self._quarantined
            },
            exit_code=int(self.exit_code),
            remarks=tuple(f"{o.tile}: {remark}" for o in outcomes for remark in remarks_of(o)),
        )


def tiles_by_provider(outcomes: Iterable[TileOutcome]) -> dict[str, int]:
    """Tiles by what the network ran on, in order of name."""
    return dict(sorted(Counter(one.provider for one in outcomes if one.provider).items()))


def total(tables: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of several tables of counts."""
    sums: dict[str, int] = {}
    for table in tables:
        for name, number in table.items():
            sums[name] = sums.get(name, 0) + number
    return sums
