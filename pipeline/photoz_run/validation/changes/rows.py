"""The contents of a comparison as rows of text, the same for terminal, Markdown and HTML."""

import math
from collections.abc import Sequence

from photoz_run.validation.breakdowns import FEWEST, TITLES
from photoz_run.validation.changes.accuracy import IN_BINS, Accuracy, BinChange, Change
from photoz_run.validation.changes.compare import Changes, sides
from photoz_run.validation.changes.moves import Move
from photoz_run.validation.metrics import STATISTICS
from photoz_run.validation.rows import TERSE, Rows, brief, format_estimate
from photoz_run.validation.subject import SIMULATED
from photoz_run.wording import counted

SHORT = {"mean_normdz": "bias", "smad": "SMAD", "outliers_015": "outliers"}
"""The statistics of a bin as headers of columns."""


def counts_line(changes: Changes) -> str:
    """Say in one line what was compared."""
    moved = next((part for part in changes.columns if part.name == "Z_PHOT"), None)
    redshifts = f"; {moved.changed:,} have another Z_PHOT" if moved else ""
    return (
        f"{counted(changes.shared, 'source')} in both A and B, {changes.a.only:,} only in A,"
        f" {changes.b.only:,} only in B{redshifts}"
    )


def sides_table(changes: Changes) -> Rows:
    """What is compared: catalogue, model, run and selection of both."""
    rows = [["", "A", "B"]]
    parts = [side for _, side in sides(changes)]
    facts = {
        "catalogue": [side.path for side in parts],
        "model": [_model(side.subject.model, side.subject.model_version) for side in parts],
        "trained on": [_training(side.subject) for side in parts],
        "sha256 of the model": [side.subject.model_digest for side in parts],
        "digest of the run": [side.subject.run_digest for side in parts],
        "measured by the run": [side.subject.run_selection for side in parts],
        "compared": [side.subject.validated_selection or "all rows" for side in parts],
        "sources": [f"{side.sources:,}" for side in parts],
        "sources that the other lacks": [f"{side.only:,}" for side in parts],
        "sources with a redshift here alone": [f"{changes.appeared:,}", f"{changes.vanished:,}"],
        "columns that the other lacks": [", ".join(side.only_columns) for side in parts],
    }
    for words, values in facts.items():
        if any(values):
            rows.append([words, *(value or "-" for value in values)])
    return rows


def _model(name: str, version: str) -> str:
    return f"{name} {version}" if name else "not known"


def _training(subject: object) -> str:
    simulated = getattr(subject, "simulated_training", False)
    training = str(getattr(subject, "model_training", ""))
    return f"{training} ({SIMULATED})" if simulated else training


def statistics_table(measured: Accuracy) -> Rows:
    """Every statistic of A and of B on the same galaxies, the difference, and the verdict."""
    rows = [["the same galaxies", "A", "B", "A - B", "sigma", ""]]
    for change in measured.overall:
        rows.append([STATISTICS[change.statistic], *_values(change), change.verdict])
    return rows


def terminal_table(measured: Accuracy) -> Rows:
    """The same without errors by galaxy, in fewer words."""
    rows = [["", "A", "B", "A - B", "sigma", "verdict"]]
    for change in measured.overall:
        a, b, _, sigma = _values(change)
        difference = brief(change.difference, sign="+")
        verdict = change.verdict if change.beyond_chance else "-"
        rows.append([TERSE[change.statistic], a, b, difference, sigma, verdict])
    return rows


def _values(change: Change) -> list[str]:
    sigma = "-" if math.isnan(change.significance) else f"{change.significance:.1f}"
    difference = format_estimate(change.difference, sign="+")
    return [f"{change.a:z.4f}", f"{change.b:z.4f}", difference, sigma]


def bins_tables(measured: Accuracy) -> dict[str, Rows]:
    """By breakdown: the differences in each bin."""
    tables: dict[str, Rows] = {}
    for part in measured.bins:
        names = [SHORT[name] for name in IN_BINS]
        header = ["bin", "galaxies", *(f"{name}, A - B" for name in names), "beyond chance"]
        tables.setdefault(part.breakdown, [header]).append(_bin(part))
    return tables


def _bin(part: BinChange) -> list[str]:
    differences = [format_estimate(change.difference, sign="+") for change in part.changes]
    real = [f"{SHORT[one.statistic]} {one.verdict}" for one in part.changes if one.beyond_chance]
    return [part.label, f"{part.n:,}", *differences, ", ".join(real) or "-"]


def columns_table(changes: Changes) -> Rows:
    """The columns that changed, those with most changes first."""
    header = ["column", "rows", "lost", "gained", "median", "SMAD", "99% below", "in the scatter"]
    rows = [header]
    changed = [part for part in changes.columns if part.changed]
    for part in sorted(changed, key=lambda part: -part.changed):
        numbers = [_number(value) for value in (part.median, part.smad, part.far)]
        counts = [f"{part.changed:,}", f"{part.lost:,}", f"{part.gained:,}"]
        rows.append([part.name, *counts, *numbers, _number(part.far_in_scatter, 2)])
    return rows


def same_columns(changes: Changes) -> str:
    """The columns in which nothing changed, in one line."""
    same = [part.name for part in changes.columns if not part.changed]
    return f"the same in every row: {', '.join(same)}" if same else ""


def moves_table(moves: Sequence[Move]) -> Rows:
    """How redshifts moved in each bin."""
    header = ["bin", "sources", "changed", "median", "SMAD", "over the scatter", "over 0.15"]
    rows = [header]
    large = [move for move in moves if move.n >= FEWEST]
    for move in large:
        shares = [_share(move.over_scatter), _share(move.beyond)]
        numbers = [f"{move.median:+z.4f}", f"{move.smad:.4f}"]
        rows.append([move.label, f"{move.n:,}", _share(move.changed), *numbers, *shares])
    small = [move.n for move in moves if move.n < FEWEST]
    if small:
        words = f"{counted(len(small), 'bin')} of fewer than {FEWEST} sources"
        rows.append([words, f"{sum(small):,}", *["left out"] * 5])
    return rows


def flags_table(changes: Changes) -> Rows:
    """Which flags came and went."""
    rows = [["flag", "only in A", "only in B", "in both"]]
    for flag in changes.flags:
        rows.append([flag.name, f"{flag.only_a:,}", f"{flag.only_b:,}", f"{flag.both:,}"])
    return rows


def sentences(changes: Changes) -> list[str]:
    """What stands out, in words: for all galaxies, in tiles, in other bins."""
    if changes.accuracy is None:
        return list(changes.shifted)
    n, overall = changes.accuracy.n, changes.accuracy.overall
    said = [_sentence("all galaxies", n, change) for change in overall if change.beyond_chance]
    return [*said, *sentences_of_bins(changes)]


def sentences_of_bins(changes: Changes) -> list[str]:
    """What stands out in tiles and other bins, the clearest first."""
    looks = changes.accuracy.beyond_chance if changes.accuracy else []
    bins = [
        _sentence(f"{TITLES[part.breakdown]} {part.label}", part.n, change)
        for part, change in looks
    ]
    return [*changes.shifted, *bins]


def _sentence(where: str, n: int, change: Change) -> str:
    return (
        f"{where}: {STATISTICS[change.statistic]} is {change.a:z.4f} in A, {change.b:z.4f} in B,"
        f" {change.verdict} ({n:,} galaxies, {change.significance:.0f} sigma)"
    )


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _number(value: float, digits: int = 4) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.{digits}f}" if 10**-digits <= abs(value) < 1e5 or not value else f"{value:.2g}"
