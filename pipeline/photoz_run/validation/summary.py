"""The summary of a validation on the terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from photoz_run.validation.result import GateOutcome, Result
from photoz_run.validation.rows import Rows, counts_line, gate_rows, terminal_table, unmatched_line

FINDINGS = 5
"""How many findings are printed; the report has all."""

WIDTH = 80
"""Columns of a terminal."""

_STYLES = {"SMAD": "bold", "FAILED": "bold red"}


def print_summary(result: Result, outcomes: Sequence[GateOutcome], out: Path) -> None:
    """Print the statistics, the findings and the gates.

    They are drawn on a terminal, and aligned plain text otherwise.
    """
    if result.subject.banner:
        print_words(f"! {result.subject.banner}")
    print_words(counts_line(result))
    if words := unmatched_line(result.counts):
        print_words(words)
    print_words(
        f"statistics of normdz, errors over {result.grouping}; the report has those by galaxy"
    )
    print_table(f"{result.overall.n:,} galaxies", terminal_table(result))
    for note in result.notes:
        if note.startswith(tuple(result.specz)):
            print_words(note)
    for finding in result.findings[:FINDINGS]:
        print_words(f"stands out: {finding.sentence()}")
    if result.suspects.tiles:
        print_words(result.suspects.sentence())
    if outcomes:
        print_table("Gates", gate_rows(outcomes))
    print(f"written to {out}")


def print_words(text: str) -> None:
    """Print a sentence: broken between words on a terminal, one line otherwise."""
    if sys.stdout.isatty():
        Console(highlight=False, markup=False, emoji=False).print(text)
    else:
        print(text)


def print_table(title: str, rows: Rows) -> None:
    """Print rows: drawn on a terminal, and aligned plain text otherwise."""
    if not sys.stdout.isatty():
        print(plain_table(rows))
        return
    table = Table(title=title)
    for k, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if k == 0 else "right")
    for row in rows[1:]:
        table.add_row(*row, style=_STYLES.get(row[0].split(" ")[0], ""))
    Console().print(table)


def plain_table(rows: Rows) -> str:
    """Columns aligned with spaces; the first to the left, the others to the right.

    Where a table is wider than `WIDTH`, further columns stand below the first.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines: list[str] = []
    for columns in _blocks(widths):
        for row in rows:
            cells = [row[k].rjust(widths[k]) for k in columns]
            lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def _blocks(widths: Sequence[int]) -> list[list[int]]:
    """Which columns stand side by side, each time beside the first; at least one."""
    blocks: list[list[int]] = [[]]
    for k, width in enumerate(widths[1:], start=1):
        taken = widths[0] + sum(2 + widths[place] for place in blocks[-1])
        if blocks[-1] and taken + 2 + width > WIDTH:
            blocks.append([])
        blocks[-1].append(k)
    return blocks
