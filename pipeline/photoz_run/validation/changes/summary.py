"""The summary of a comparison on the terminal."""

from pathlib import Path

from photoz_run.validation.changes.compare import Changes
from photoz_run.validation.changes.report import banners, errors_line
from photoz_run.validation.changes.rows import (
    columns_table,
    counts_line,
    moves_table,
    sentences_of_bins,
    terminal_table,
)
from photoz_run.validation.rows import Rows
from photoz_run.validation.summary import FINDINGS, print_table, print_words

COLUMNS = 8
"""How many columns that changed are printed; the report has all."""


def print_changes(changes: Changes, out: Path) -> None:
    """Print what changed, for whom, and whether it is beyond chance."""
    for banner in banners(changes):
        print_words(f"! {banner}")
    print_words(f"A {changes.a.path}, B {changes.b.path}")
    print_words(counts_line(changes))
    columns = columns_table(changes)
    if len(columns) > 1:
        print_table("What changed", _narrow(columns[: COLUMNS + 1]))
    print_table("How redshifts moved", moves_table(changes.moves["all"]))
    if changes.accuracy is not None:
        print_table("Accuracy", terminal_table(changes.accuracy))
    print_words(errors_line(changes))
    said = sentences_of_bins(changes)
    for sentence in said[:FINDINGS]:
        print_words(f"stands out: {sentence}")
    if len(said) > FINDINGS:
        print(f"and {len(said) - FINDINGS} more, in the report")
    print(f"written to {out}")


def _narrow(rows: Rows) -> Rows:
    """Without the counts of what came and went, which the report has."""
    return [[row[0], row[1], *row[4:]] for row in rows]
