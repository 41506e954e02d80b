"""The report: figures, one self-contained HTML page, and Markdown."""

import base64
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from string import Template

from matplotlib.figure import Figure

from photoz_run import __version__
from photoz_run.validation.breakdowns import TITLES
from photoz_run.validation.figures import bins, distributions
from photoz_run.validation.figures.style import style
from photoz_run.validation.pairs import Pairs
from photoz_run.validation.result import GateOutcome, Result
from photoz_run.validation.rows import (
    Rows,
    breakdown_rows,
    counts_line,
    distribution_rows,
    gate_rows,
    match_rows,
    paired_rows,
    statistics_table,
    structure_rows,
)


@dataclass(frozen=True)
class Plot:
    """One figure of the report; ``width`` in columns of twelve."""

    name: str
    title: str
    caption: str
    width: int
    png: bytes


CAPTIONS = {
    "photoz_specz": (
        5,
        "Photometric against spectroscopic redshift",
        "Number of galaxies per cell. Below: normalised residual with its running median and 16% and 84% quantiles.",
    ),
    "residuals": (
        7,
        "Normalised residuals",
        "A Gaussian of the width SMAD and a fitted Student distribution; on the right the tails, logarithmic.",
    ),
    "nz": (
        7,
        "Redshift distributions",
        "Left: predicted and spectroscopic n(z). Right: n(z_phot) of the whole catalogue relative to neighbouring "
        "bins; a spike that leaves the band is narrower than the photo-z can resolve, so the method made it.",
    ),
    "trends": (
        12,
        "Bias and scatter by magnitude, redshift and colour",
        "Bins with equal numbers of galaxies; thin horizontal lines show their extent, vertical ones the 68% "
        "bootstrap interval. Against z_spec some slope is expected of any photo-z.",
    ),
    "methods": (
        6,
        "Beside other methods",
        "Filled: measured on the galaxies of this validation. Open: published for other galaxies, for orientation.",
    ),
    "pit": (6, "Calibration of the predicted distributions", ""),
    "categories": (
        6,
        "Scatter and bias by category",
        "68% bootstrap intervals. Flags may overlap.",
    ),
    "sky": (
        6,
        "Scatter on the sky",
        "SMAD of each tile; tiles with fewer than 20 galaxies are grey.",
    ),
    "outliers": (
        12,
        "The worst outliers",
        "The largest |normdz|: a colour stamp (i, r, g as red, green, blue) and the magnitudes of each galaxy.",
    ),
}


def draw(
    result: Result, pairs: Pairs, gallery: Callable[[], Figure | None], directory: Path
) -> list[Plot]:
    """Draw every figure and save it as PNG and PDF in ``directory``; those without data are left out."""
    columns, overall = pairs.columns, result.overall
    makers: dict[str, Callable[[], Figure | None]] = {
        "photoz_specz": lambda: distributions.photoz_against_specz(columns, overall),
        "residuals": lambda: distributions.residual_histogram(columns, overall),
        "nz": lambda: distributions.nz_figure(columns, result.spikes, result.rows),
        "trends": lambda: bins.trends(result),
        "categories": lambda: bins.categories(result),
        "sky": lambda: bins.sky_map(columns, result),
        "methods": lambda: bins.methods(result),
        "pit": lambda: (
            distributions.pit_figure(result.distribution) if result.distribution else None
        ),
        "outliers": gallery,
    }
    directory.mkdir(parents=True, exist_ok=True)
    plots = []
    for name, make in makers.items():
        with style():
            figure = make()
            if figure is not None:
                plots.append(_save(figure, name, result, directory))
    return plots


def _save(figure: Figure, name: str, result: Result, directory: Path) -> Plot:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    # The layout stands; finding it again would take as long as drawing.
    figure.set_layout_engine("none")
    figure.savefig(directory / f"{name}.pdf")
    (directory / f"{name}.png").write_bytes(buffer.getvalue())
    width, title, caption = CAPTIONS[name]
    if name == "pit" and result.distribution:
        caption = f"PIT {result.distribution.source}."
    return Plot(name, title, caption, width, buffer.getvalue())


def verdict(outcomes: Sequence[GateOutcome]) -> tuple[str, str]:
    """Style class and words of the verdict."""
    failed = sum(not outcome.passed for outcome in outcomes)
    if not outcomes:
        return "none", "no gates set"
    return (
        ("failed", f"{failed} of {len(outcomes)} gates failed")
        if failed
        else ("passed", "all gates passed")
    )


def key_figures(result: Result) -> list[tuple[str, str]]:
    """The numbers that are read first, with their words."""
    value = {name: estimate.value for name, estimate in result.overall.estimates.items()}
    keys = [
        (f"{value['smad']:.4f}", "SMAD of normdz"),
        (f"{value['bias']:+z.4f}", "bias, mean of dz"),
        (f"{value['outliers_015']:.2%}", "outliers, |normdz| > 0.15"),
        (f"{result.overall.n:,}", "galaxies with spec-z"),
        (f"{result.counts.completeness:.1%}", "have a photo-z"),
    ]
    if "coverage_68" in value:
        keys.insert(3, (f"{value['coverage_68']:.1%}", "inside the 68% interval"))
    return keys


def write_html(
    result: Result, outcomes: Sequence[GateOutcome], plots: Sequence[Plot], path: Path
) -> None:
    """Write the page, with the figures inside it; it needs no script and no other file."""
    verdict_class, words = verdict(outcomes)
    template = Template(
        files("photoz_run.validation").joinpath("report_template.html").read_text(encoding="utf-8")
    )
    page = template.substitute(
        name=html.escape(Path(result.catalogue).name),
        subtitle=html.escape(f"{result.catalogue}: {counts_line(result)}"),
        verdict=words,
        verdict_class=verdict_class,
        keys="".join(
            f'<div class="key"><b>{number}</b><span>{label}</span></div>'
            for number, label in _keys(result)
        ),
        findings=_findings(result),
        gates=f"<h2>Gates</h2>{_table(gate_rows(outcomes))}" if outcomes else "",
        figures=_figures(plots),
        statistics="".join(f"<div>{block}</div>" for block in _statistics(result)),
        breakdowns="".join(
            f"<details><summary>By {TITLES[name]} ({len(groups)})</summary>{_table(breakdown_rows(groups))}</details>"
            for name, groups in result.breakdowns.items()
        ),
        notes="".join(f"<p class='sub'>{html.escape(note)}</p>" for note in result.notes),
        footer=html.escape(footer()),
    )
    path.write_text(page, encoding="utf-8")


def _keys(result: Result) -> list[tuple[str, str]]:
    return [(html.escape(number), html.escape(label)) for number, label in key_figures(result)]


def _findings(result: Result) -> str:
    if not result.findings:
        return '<ul class="found calm"><li>No category, tile or survey differs from the others by 5 sigma.</li></ul>'
    items = "".join(f"<li>{html.escape(finding.sentence())}</li>" for finding in result.findings)
    return f'<ul class="found">{items}</ul>'


def _figures(plots: Sequence[Plot]) -> str:
    """The tall first figure on the left, the next two stacked beside it, the others below."""
    made = {plot.name: _figure(plot) for plot in plots}
    beside = "".join(made.pop(name) for name in ("residuals", "nz") if name in made)
    first = made.pop("photoz_specz")
    return f'<div class="w5">{first}</div><div class="w7 stack">{beside}</div>' + "".join(
        f'<div class="w{CAPTIONS[name][0]}">{figure}</div>' for name, figure in made.items()
    )


def _figure(plot: Plot) -> str:
    data = base64.b64encode(plot.png).decode("ascii")
    caption = f"<b>{html.escape(plot.title)}.</b> {html.escape(plot.caption)}"
    image = f'<img alt="{html.escape(plot.title)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _statistics(result: Result) -> list[str]:
    """The two columns of tables."""
    left = [statistics_table(result), paired_rows(result) if result.comparisons else []]
    right = [distribution_rows(result), structure_rows(result), match_rows(result)]
    return ["".join(_table(rows) for rows in column if rows) for column in (left, right)]


def _table(rows: Rows) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    body = "".join(
        f"<tr{_row_class(row)}>{''.join(f'<td>{_cell(c)}</td>' for c in row)}</tr>"
        for row in rows[1:]
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    return html.escape(text).replace("+-", "&plusmn;")


def _row_class(row: list[str]) -> str:
    if row[0].startswith("SMAD"):
        return ' class="strong"'
    return ' class="bad"' if row[0] == "FAILED" else ""


def write_markdown(
    result: Result, outcomes: Sequence[GateOutcome], plots: Sequence[Plot], path: Path
) -> None:
    """Write the report as Markdown, with links to the figures."""
    parts = [
        f"# Photo-z validation: {Path(result.catalogue).name}",
        counts_line(result),
        f"**{verdict(outcomes)[1]}**",
    ]
    parts += ["## Where they fail", *(f"- {finding.sentence()}" for finding in result.findings)]
    if not result.findings:
        parts.append("No category, tile or survey differs from the others by 5 sigma.")
    if outcomes:
        parts += ["## Gates", markdown_table(gate_rows(outcomes))]
    parts += ["## Statistics", markdown_table(statistics_table(result))]
    further = [
        paired_rows(result) if result.comparisons else [],
        distribution_rows(result),
        structure_rows(result),
    ]
    parts += [markdown_table(rows) for rows in (*further, match_rows(result)) if rows]
    parts.append("## Figures")
    parts += [
        f"![{plot.title}](plots/{plot.name}.png)\n\n*{plot.title}. {plot.caption}*"
        for plot in plots
    ]
    parts.append("## Bin by bin")
    for name, groups in result.breakdowns.items():
        parts += [f"### By {TITLES[name]}", markdown_table(breakdown_rows(groups))]
    parts += [*result.notes, footer()]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def markdown_table(rows: Rows) -> str:
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    rule = "|" + "---|" + "---:|" * (len(rows[0]) - 1)
    return "\n".join([lines[0], rule, *lines[1:]])


def footer() -> str:
    """Say which program wrote the report, and when."""
    return f"photoz-run {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
