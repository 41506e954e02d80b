"""The summary of a validation on the terminal."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline.validation.metrics import STATISTICS, Estimate
from pipeline.validation.result import GateOutcome, Result

FINDINGS = 5
"""How many findings are printed; the report has all."""

_STYLES = {"SMAD": "bold", "FAILED": "bold red"}


def print_summary(result: Result, outcomes: Sequence[GateOutcome], out: Path) -> None:
    """Print the statistics, the findings and the gates: drawn on a terminal, aligned plain text otherwise."""
    print(counts_line(result))
    header = ["statistic", "Z_PHOT", *(comparison.group.label for comparison in result.comparisons)]
    _print_table(f"{result.overall.n} galaxies", [header, *statistics_rows(result)])
    for finding in result.findings[:FINDINGS]:
        print(f"stands out: {finding.sentence()}")
    if outcomes:
        _print_table("Gates", gate_rows(outcomes))
    print(f"written to {out}")


def _print_table(title: str, rows: list[list[str]]) -> None:
    if not sys.stdout.isatty():
        print(plain_table(rows))
        return
    table = Table(title=title)
    for k, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if k == 0 else "right")
    for row in rows[1:]:
        table.add_row(*row, style=_STYLES.get(row[0].split()[0], ""))
    Console().print(table)


def gate_rows(outcomes: Sequence[GateOutcome]) -> list[list[str]]:
    """One row per gate under a header, those that failed first."""
    rows = [
        ["passed" if o.passed else "FAILED", o.gate, o.where, f"{o.value:.5g}", o.limit]
        for o in sorted(outcomes, key=lambda outcome: outcome.passed)
    ]
    return [["gate", "", "", "value", "limit"], *rows]


def counts_line(result: Result) -> str:
    """Say in one line what was matched and what was lost."""
    c = result.counts
    return (
        f"{result.overall.n} galaxies with photo-z and spec-z: of {c.specz} spec-z {c.in_footprint} lie in the "
        f"footprint and {c.matched} match; {c.ambiguous} ambiguous, {c.duplicates} duplicates, "
        f"{c.conflicting} conflicting, {c.without_photoz} without photo-z"
    )


def statistics_rows(result: Result) -> list[list[str]]:
    """One row per statistic: its words, our value, the values of the other methods."""
    groups = [result.overall, *(comparison.group for comparison in result.comparisons)]
    names = [name for name in STATISTICS if name in result.overall.estimates]
    return [[STATISTICS[name], *(format_estimate(group.estimates.get(name)) for group in groups)] for name in names]


def format_estimate(estimate: Estimate | None) -> str:
    """Write value and half-width of the interval with as many digits as that says."""
    if estimate is None or math.isnan(estimate.value):
        return "-"
    if math.isnan(estimate.error):
        return f"{estimate.value:.4f}"
    return f"{estimate.value:.4f} +- {estimate.error:.4f}"


def plain_table(rows: list[list[str]]) -> str:
    """Columns aligned with spaces; the first to the left, the others to the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
