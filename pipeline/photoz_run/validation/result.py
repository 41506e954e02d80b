"""The result of a validation, and its machine-readable files."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run.science.redshift_distribution import Spikes
from photoz_run.validation.findings import Finding
from photoz_run.validation.metrics import Distribution, Estimate, Group
from photoz_run.validation.overlap import Repeatability
from photoz_run.validation.pairs import PairCounts

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class GateOutcome:
    """One limit tested on one set of objects. A value that could not be measured does not pass."""

    gate: str
    where: str
    value: float
    limit: str
    passed: bool


@dataclass(frozen=True)
class Comparison:
    """Another redshift column on the same galaxies; ``paired`` is Z_PHOT minus the other."""

    group: Group
    paired: dict[str, Estimate]


@dataclass(frozen=True)
class Result:
    """Everything a validation found."""

    catalogue: str
    rows: int
    repeated: int
    specz: dict[str, dict[str, int]]
    counts: PairCounts
    overall: Group
    spikes: Spikes = field(repr=False)
    imprint: tuple[float, float]
    """Correlation of the fine structure of n(z_phot) with the training redshifts', and its error; NaN without them."""
    repeatability: Repeatability
    distribution: Distribution | None = None
    comparisons: tuple[Comparison, ...] = ()
    breakdowns: dict[str, tuple[Group, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out, and why."""

    def groups(self) -> list[Group]:
        """Every set of pairs that was measured: all, the comparisons, the bins."""
        bins = [group for groups in self.breakdowns.values() for group in groups]
        return [self.overall, *(comparison.group for comparison in self.comparisons), *bins]


def as_json(result: Result, outcomes: Sequence[GateOutcome] = ()) -> dict[str, Any]:
    """The result and its gates as plain dictionaries; NaN becomes null."""
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "catalogue": {
            "path": result.catalogue,
            "rows": result.rows,
            "rows_with_repeated_id": result.repeated,
        },
        "specz": result.specz,
        "match": result.counts.as_dict(),
        "n": result.overall.n,
        "statistics": _estimates(result.overall.estimates),
        "distribution": result.distribution.as_dict() if result.distribution else None,
        "nz": {
            "worst_spike": dict(
                zip(("z", "excess", "significance"), result.spikes.worst, strict=True)
            )
        }
        | dict(
            zip(("training_correlation", "training_correlation_error"), result.imprint, strict=True)
        ),
        "repeatability": result.repeatability.as_dict(),
        "findings": [
            asdict(finding) | {"sentence": finding.sentence()} for finding in result.findings
        ],
        "notes": list(result.notes),
        "gates": [asdict(outcome) for outcome in outcomes],
        "passed": all(outcome.passed for outcome in outcomes),
        "comparisons": {
            comparison.group.label: {
                "n": comparison.group.n,
                "statistics": _estimates(comparison.group.estimates),
                "z_phot_minus_other": _estimates(comparison.paired),
            }
            for comparison in result.comparisons
        },
        "breakdowns": {
            name: [_group(group) for group in groups] for name, groups in result.breakdowns.items()
        },
    }
    finite: dict[str, Any] = _finite(content)
    return finite


def write_json(result: Result, outcomes: Sequence[GateOutcome], path: Path) -> None:
    """Write metrics.json."""
    path.write_text(
        json.dumps(as_json(result, outcomes), indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )


def write_parquet(result: Result, path: Path) -> None:
    """Write metrics.parquet: one row per set of pairs and statistic."""
    rows = [
        {
            "breakdown": group.breakdown,
            "bin": group.label,
            "low_edge": group.low_edge,
            "high_edge": group.high_edge,
            "method": group.method,
            "n": group.n,
            "statistic": name,
            "value": estimate.value,
            "low_68": estimate.low,
            "high_68": estimate.high,
        }
        for group in result.groups()
        for name, estimate in group.estimates.items()
    ]
    pq.write_table(pa.Table.from_pylist(_finite(rows)), path)


def _estimates(estimates: Any) -> dict[str, Any]:
    return {name: {"value": e.value, "low": e.low, "high": e.high} for name, e in estimates.items()}


def _group(group: Group) -> dict[str, Any]:
    return {
        "bin": group.label,
        "low_edge": group.low_edge,
        "high_edge": group.high_edge,
        "n": group.n,
        "note": group.note,
        "statistics": _estimates(group.estimates),
    }


def _finite(value: Any) -> Any:
    """The same structure with null for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
