"""The contents of the report as rows of text, the same for terminal, Markdown and HTML."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from photoz_run.flags import SCIENCE_CUT
from photoz_run.validation import quality
from photoz_run.validation.metrics import STATISTICS, Estimate
from photoz_run.validation.pairs import PairCounts
from photoz_run.validation.result import GateOutcome, Result
from photoz_run.validation.specz import REASONS
from photoz_run.validation.subject import SIMULATED

Rows = list[list[str]]
"""A header row and the rows below it."""


def gate_rows(outcomes: Sequence[GateOutcome]) -> list[list[str]]:
    """One row per gate under a header, those that failed first."""
    rows = [["gate", "", "", "value", "limit"]]
    for outcome in sorted(outcomes, key=lambda outcome: outcome.passed):
        word = "passed" if outcome.passed else "FAILED"
        rows.append([word, outcome.gate, outcome.where, f"{outcome.value:.5g}", outcome.limit])
    return rows


def counts_line(result: Result) -> str:
    """Say in one line what was matched and what was lost."""
    c = result.counts
    return (
        f"{result.overall.n} galaxies with photo-z and spec-z:"
        f" of {c.specz} spec-z {c.in_footprint} lie in the footprint and {c.matched} match;"
        f" {c.ambiguous} ambiguous, {c.duplicates} duplicates, {c.conflicting} conflicting,"
        f" {c.without_photoz} without photo-z"
    )


def subject_rows(result: Result) -> Rows:
    """What was validated: catalogue, model, run, selections."""
    s = result.subject
    rows = [["what was validated", ""], ["catalogue", result.catalogue]]
    rows.append(["rows", f"{result.rows:,}"])
    if result.repeated:
        rows.append(["rows whose ID stands in another row, too", f"{result.repeated:,}"])
    model = f"{s.model} {s.model_version}" if s.model else "not known"
    facts = {
        "model": f"{model}, {SIMULATED}" if s.simulated_training else model,
        "sha256 of the model": s.model_digest,
        "training set": s.model_training,
        "digest of the run": s.run_digest,
        "measured by the run": s.run_selection,
        "validated": s.validated_selection or "all rows",
        "errors are taken over": result.grouping,
        "science cut": SCIENCE_CUT if result.science else "",
    }
    return [*rows, *([words, text] for words, text in facts.items() if text)]


@dataclass(frozen=True)
class StatisticsOf:
    """A set of galaxies in the table of statistics."""

    name: str
    number: str
    estimates: Mapping[str, Estimate]


def columns_of_statistics(result: Result) -> list[StatisticsOf]:
    """The sets of galaxies that stand side by side in the table of statistics."""
    overall, science, r = result.overall, result.science, result.representative
    columns = [StatisticsOf("Z_PHOT", f"{overall.n:,}", overall.estimates)]
    if overall.weighted:
        columns.append(_weighted_column("weighted", overall.effective, overall.weighted))
    if r is not None:
        columns.append(_weighted_column("weighted, cells", r.effective_by_cells, r.by_cells))
    if science is not None:
        columns.append(StatisticsOf("science cut", f"{science.n:,}", science.estimates))
    if science is not None and science.weighted:
        columns.append(
            _weighted_column("science cut, weighted", science.effective, science.weighted)
        )
    for comparison in result.comparisons:
        group = comparison.group
        columns.append(StatisticsOf(group.label, f"{group.n:,}", group.estimates))
        if group.weighted:
            name = f"{group.label}, weighted"
            columns.append(_weighted_column(name, group.effective, group.weighted))
    return columns


def _weighted_column(
    name: str, effective: float, estimates: Mapping[str, Estimate]
) -> StatisticsOf:
    return StatisticsOf(name, effective_words(effective), estimates)


def effective_words(effective: float) -> str:
    """An effective number, told apart from one that was counted."""
    return f"{effective:,.0f} effective"


def statistics_rows(result: Result) -> list[list[str]]:
    """One row per statistic: its words, our value, the values of the other methods."""
    columns = columns_of_statistics(result)
    rows = []
    for name, words in STATISTICS.items():
        if name in result.overall.estimates:
            values = [format_estimate(column.estimates.get(name)) for column in columns]
            rows.append([words, *values])
    return rows


TERSE = {
    "bias": "mean of dz",
    "mean_normdz": "mean of normdz",
    "median_normdz": "median",
    "sd_normdz": "SD",
    "smad": "SMAD",
    "sigma_68": "sigma_68",
    "outliers_005": "beyond 0.05",
    "outliers_015": "beyond 0.15",
    "outliers_3smad": "beyond 3 SMAD",
    "outliers_rail": "outliers, RAIL",
    "coverage_68": "inside 68%",
    "coverage_95": "inside 95%",
}
"""The words of `STATISTICS` for a terminal of 80 columns."""


def terminal_table(result: Result) -> Rows:
    """The table of statistics without errors by galaxy, in fewer words."""
    every = columns_of_statistics(result)
    columns = [column for column in every if ", " not in column.name]
    rows = [["", *(column.name for column in columns)]]
    rows.append(["galaxies", *(column.number for column in columns)])
    for name, words in TERSE.items():
        if name in result.overall.estimates:
            rows.append([words, *(brief(column.estimates.get(name)) for column in columns)])
    return rows


def brief(estimate: Estimate | None, sign: str = "") -> str:
    """Write value and error alone."""
    return format_estimate(estimate, sign).split(" (")[0]


def format_estimate(estimate: Estimate | None, sign: str = "", digits: int = 4) -> str:
    """Write value and error, and the error by galaxy in brackets where it differs."""
    if estimate is None or math.isnan(estimate.value):
        return "-"
    if math.isnan(estimate.error):
        return f"{estimate.value:{sign}z.{digits}f}"
    text = f"{estimate.value:{sign}z.{digits}f} +- {estimate.error:.{digits}f}"
    return f"{text} ({estimate.by_galaxy:.{digits}f})" if estimate.kinds_differ else text


def statistics_table(result: Result) -> Rows:
    """Every statistic of this catalogue and of the other redshift columns."""
    columns = columns_of_statistics(result)
    numbers = ["galaxies", *(column.number for column in columns)]
    return [
        [f"errors over {result.errors_over} (by galaxy)", *(column.name for column in columns)],
        numbers,
        *statistics_rows(result),
    ]


def match_rows(result: Result) -> Rows:
    """What became of the spec-z, table by table, then in the match."""
    rows = [["spec-z", "number"]]
    for name, table in result.specz.items():
        columns, counts = table.columns, table.counts
        places = f"{columns.ra}, {columns.dec}, {columns.z}"
        rows.append([f"{name}: rows of {table.file} ({places})", f"{counts['rows']:,}"])
        cut = columns.quality or "none was made"
        rows.append([f"{name}: fail the cut on quality ({cut})", f"{counts['poor']:,}"])
        for reason, said in REASONS.items():
            if reason != "poor" and table.dropped[reason]:
                rows.append([f"{name}: {said}", f"{table.dropped[reason]:,}"])
    c = result.counts
    words = {
        "reliable, used in the match": c.specz,
        "outside the footprint: no source within 5 arcmin": c.outside,
        "in the footprint, no source within the radius": c.without_source,
        "in the footprint, only sources that the selection leaves out": c.left_out,
        "matched to a source": c.matched,
        "ambiguous: several sources within the radius, nearest taken": c.ambiguous,
        "duplicates: further spec-z of a galaxy that agree, not used": c.duplicates,
        "conflicting: spec-z of a galaxy that disagree, not used": c.conflicting,
        "pairs": c.pairs,
        "pairs without photo-z": c.without_photoz,
    }
    always = ("reliable, used in the match", "matched to a source", "pairs")
    shown = {label: n for label, n in words.items() if n or label in always}
    return [*rows, *([label, f"{n:,}"] for label, n in shown.items())]


def unmatched_line(counts: PairCounts) -> str:
    """Say in one line why spec-z have no source; "" if all have one."""
    reasons = {
        "outside the footprint": counts.outside,
        "without a source within the radius": counts.without_source,
        "at sources that the selection leaves out": counts.left_out,
    }
    said = [f"{number:,} {words}" for words, number in reasons.items() if number]
    return f"unmatched spec-z: {', '.join(said)}" if said else ""


def paired_rows(result: Result) -> Rows:
    """Paired differences Z_PHOT minus other, on the same galaxies."""
    names = {"bias": "bias", "smad": "SMAD", "outliers_015": "outliers"}
    rows = [["Z_PHOT minus", "galaxies", *names.values()]]
    for comparison in result.comparisons:
        differences = [format_estimate(comparison.paired[name], sign="+") for name in names]
        rows.append([comparison.group.label, f"{comparison.group.n:,}", *differences])
    return rows


def distribution_rows(result: Result) -> Rows:
    """Quality of the predicted distributions."""
    d = result.distribution
    if d is None:
        return []
    u, sets = d.uniformity, [d.overall.estimates]
    rows = [[f"predicted distributions, {d.source}", f"N = {d.n:,}"]]
    rows.append(["Kolmogorov-Smirnov distance of PIT", f"{u.ks:.4f} (p = {u.ks_p:.2g})"])
    rows.append(["Cramer-von Mises distance of PIT", f"{u.cvm:.4f} (p = {u.cvm_p:.2g})"])
    if d.overall.weighted:
        sets.append(d.overall.weighted)
        rows = [[*row, "-"] for row in rows]
        rows[0][-1] = f"weighted, {effective_words(d.overall.effective)}"
    for name, words in quality.STATISTICS.items():
        rows.append([words, *(quality_figure(estimates, name) for estimates in sets)])
    return rows


def quality_figure(estimates: Mapping[str, Estimate], name: str) -> str:
    """Write a figure of `quality.STATISTICS` with as many digits as it needs."""
    digits = {"cde_loss": 3, "crps": 5, "pinball_loss": 5}.get(name, 4)
    return format_estimate(estimates.get(name), digits=digits)


def structure_rows(result: Result) -> Rows:
    """Spikes of n(z_phot), imprint of the training set, repeatability."""
    z, excess, significance = result.spikes.worst
    spike = "no bin with enough objects"
    if not math.isnan(z):
        spike = f"z = {z:.3f}: {excess:+.0%}, {significance:.1f} sigma"
    rows = [["further tests", ""], ["sharpest excess in n(z_phot)", spike]]
    correlation, error = result.imprint
    if not math.isnan(correlation):
        words = "correlation with the training n(z)'s fine structure"
        rows.append([words, f"{correlation:+.2f} +- {error:.2f}"])
    repeats = result.repeatability
    if repeats.n:
        words = f"scatter of {repeats.n:,} sources measured in two tiles"
        rows.append([words, f"{repeats.scatter:.4f}"])
        rows.append(["  the same in units of the quoted errors", f"{repeats.pull:.2f}"])
    else:
        rows.append(["sources measured in two tiles", "none"])
    return rows


def representative_rows(result: Result) -> Rows:
    """Whether the spec-z are like the whole catalogue."""
    r = result.representative
    if r is None:
        return []
    rows = [["spec-z beside the whole catalogue", ""]]
    rows.append(["compared in", ", ".join(r.likeness.columns)])
    weights = {
        "nearest neighbours": (result.overall.effective, result.overall.weighted),
        "cells of a map": (r.effective_by_cells, r.by_cells),
    }
    for words, (effective, estimates) in weights.items():
        rows.append([f"effective number of spectra, {words}", f"{effective:,.0f} of {r.pairs:,}"])
        for name in ("smad", "mean_normdz"):
            value = format_estimate(estimates[name])
            rows.append([f"{STATISTICS[name]}, weighted by {words}", value])
    share = "-" if math.isnan(r.lacking) else f"{r.lacking:.1%}"
    return [*rows, ["share of the catalogue that no spectrum is like", share]]
