"""How a run ended, in numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photoz_run.errors import ExitCode
from photoz_run.records import Status, TileOutcome


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
    def exit_code(self) -> ExitCode:
        """0 if every tile is done or has nothing to do, 3 if some are quarantined."""
        return ExitCode.QUARANTINED if self.count(Status.QUARANTINED) else ExitCode.DONE

    def as_dict(self) -> dict[str, Any]:
        """The summary for ``--json`` and ``summary.json``."""
        bad = [o for o in self.outcomes.values() if o.status is Status.QUARANTINED]
        return {
            "out": str(self.out),
            "tiles": {status.value: self.count(status) for status in Status},
            "resumed": self.resumed,
            "rows": self.rows,
            "seconds": round(self.seconds, 2),
            "flags": total(outcome.flag_counts for outcome in self.outcomes.values()),
            "counts": total(outcome.counts for outcome in self.outcomes.values()),
            "providers": sorted({o.provider for o in self.outcomes.values() if o.provider}),
            "quarantined": {o.tile: {"error": o.error, "reason": o.reason} for o in bad},
            "exit_code": int(self.exit_code),
        }


def total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of several tables of counts."""
    sums: dict[str, int] = {}
    for one in counts:
        for name, number in one.items():
            sums[name] = sums.get(name, 0) + number
    return sums
