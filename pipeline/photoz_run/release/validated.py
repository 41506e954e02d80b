"""What the validation of the run found, in a few lines for the README."""

import json
from collections.abc import Mapping
from typing import Any

from photoz_run.release.tiles import FinishedRun
from photoz_run.validation.metrics import STATISTICS

SHOWN = ("bias", "smad", "outliers_015", "coverage_68", "coverage_95")


def validation_summary(run: FinishedRun) -> list[tuple[str, str]]:
    """Words and values from ``validation/metrics.json`` of the run; empty if there is none."""
    path = run.directory.path / "validation" / "metrics.json"
    if not path.exists():
        return []
    try:
        return _lines(json.loads(path.read_text()), run.rows)
    except (OSError, ValueError, KeyError, TypeError):
        return [("`validation/metrics.json` of the run", "cannot be read")]


def _lines(metrics: Mapping[str, Any], rows: int) -> list[tuple[str, str]]:
    found = metrics["statistics"]
    lines = [("galaxies with a spectroscopic redshift", f"{metrics['n']:,}")]
    lines += [
        (STATISTICS[name].replace("|", "\\|"), _estimate(found[name]))
        for name in SHOWN
        if name in found
    ]
    failed = [gate["gate"] for gate in metrics["gates"] if not gate["passed"]]
    if metrics["gates"]:
        lines.append(("gates that failed", ", ".join(failed) or "none"))
    if metrics["catalogue"]["rows"] != rows:
        lines.append(
            ("**rows when it was validated**", f"{metrics['catalogue']['rows']:,}; now {rows:,}")
        )
    return lines


def _estimate(one: Mapping[str, float | None]) -> str:
    value, low, high = one["value"], one["low"], one["high"]
    if value is None:
        return "-"
    return (
        f"{value:z.4f}" if low is None or high is None else f"{value:z.4f} ± {(high - low) / 2:.4f}"
    )
