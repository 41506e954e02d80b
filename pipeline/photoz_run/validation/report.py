"""The report: figures, one self-contained HTML page, and Markdown."""

import base64
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from string import Template

from matplotlib.figure import Figure

from photoz_models.whole_files import written_whole
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
    quality_rows,
    representative_rows,
    statistics_table,
    structure_rows,
    subject_rows,
)

NOTHING_FOUND = "No category, tile or survey differs from the others by more than chance."


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
        "Number of galaxies per cell. Below: the normalised residual, with its running median and"
        " its 16% and 84% quantiles.",
    ),
    "residuals": (
        7,
        "Normalised residuals",
        "The curves are a Gaussian of width SMAD and a fitted Student distribution. The right"
        " panel shows the tails on a logarithmic scale.",
    ),
    "nz": (
        7,
        "Redshift distributions",
        "Left: n(z) of the same galaxies, photometric and spectroscopic. Right: n(z_phot) of the"
        " whole catalogue relative to neighbouring bins. A spike that leaves the band is narrower"
        " than the photo-z can resolve, so the method made it.",
    ),
    "trends": (
        12,
        "Bias and scatter by magnitude, redshift, colour and seeing",
        "Bins hold equal numbers of galaxies unless edges were given. Horizontal lines show their"
        " extent, vertical ones the 68% bootstrap interval. Some slope against the spectroscopic"
        " redshift is expected of any photo-z.",
    ),
    "methods": (
        6,
        "Beside other methods",
        "Filled: measured on the galaxies of this validation. Open: as published, for other"
        " galaxies.",
    ),
    "pit": (6, "Calibration of the predicted distributions", ""),
    "categories": (
        6,
        "Scatter and bias by category",
        "Bars are 68% bootstrap intervals. A galaxy may have several flags.",
    ),
    "sky": (
        6,
        "Scatter on the sky",
        "SMAD of each tile. Tiles with fewer than 20 galaxies are grey.",
    ),
    "outliers": (
        12,
        "The worst outliers",
        "The galaxies with the largest |normdz|: their colour stamps (i, r, g as red, green, blue)"
        " and their magnitudes.",
    ),
}
"""Width, title and caption of each figure, in the order of the report."""


def draw(
    result: Result, pairs: Pairs, gallery: Callable[[], Figure | None], directory: Path
) -> list[Plot]:
    """Draw every figure that has data, and save it as PNG and PDF in ``directory``."""
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
    with written_whole(directory / f"{name}.pdf") as beside:
        figure.savefig(beside)
    with written_whole(directory / f"{name}.png") as beside:
        beside.write_bytes(buffer.getvalue())
    width, title, caption = CAPTIONS[name]
    if name == "pit" and result.distribution:
        caption = f"PIT {result.distribution.source}."
    return Plot(name, title, caption, width, buffer.getvalue())


def verdict(outcomes: Sequence[GateOutcome]) -> tuple[str, str]:
    """Style class and words of the verdict."""
    if not outcomes:
        return "none", "no gates set"
    failed = sum(not outcome.passed for outcome in outcomes)
    if failed:
        return "failed", f"{failed} of {len(outcomes)} gates failed"
    return "passed", "all gates passed"


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
    template = files("photoz_run.validation").joinpath("report_template.html")
    page = Template(template.read_text(encoding="utf-8")).substitute(
        name=html.escape(Path(result.catalogue).name),
        subtitle=html.escape(f"{result.catalogue}: {counts_line(result)}"),
        banner=_banner(result),
        verdict=words,
        verdict_class=verdict_class,
        keys=_keys(result),
        findings=_findings(result),
        contents=_contents(bool(outcomes)),
        gates=f"<h2 id='gates'>Gates</h2>{_table(gate_rows(outcomes))}" if outcomes else "",
        figures=_figures(plots),
        statistics="".join(f"<div>{block}</div>" for block in _statistics(result)),
        breakdowns=_breakdowns(result),
        uncertainty=_uncertainty(result),
        notes="".join(f"<p class='sub'>{html.escape(note)}</p>" for note in result.notes),
        footer=html.escape(footer()),
    )
    with written_whole(path) as beside:
        beside.write_text(page, encoding="utf-8")


def _banner(result: Result) -> str:
    """What must be said before any number."""
    words = result.subject.banner
    return f'<p class="banner">{html.escape(words)}</p>' if words else ""


def _contents(gates: bool) -> str:
    """Links to the sections of the page."""
    names = {
        "findings": "Where they fail",
        "gates": "Gates",
        "figures": "Figures",
        "statistics": "Statistics",
        "uncertainty": "Uncertainty, bin by bin",
        "bins": "Bin by bin",
    }
    links = [
        f'<a href="#{key}">{words}</a>' for key, words in names.items() if key != "gates" or gates
    ]
    return " &middot; ".join(links)


def _keys(result: Result) -> str:
    """The numbers that are read first, as boxes."""
    boxes = []
    for number, label in key_figures(result):
        content = f"<b>{html.escape(number)}</b><span>{html.escape(label)}</span>"
        boxes.append(f'<div class="key">{content}</div>')
    return "".join(boxes)


def _findings(result: Result) -> str:
    if not result.findings:
        return f'<ul class="found calm"><li>{NOTHING_FOUND}</li></ul>'
    items = "".join(f"<li>{html.escape(finding.sentence())}</li>" for finding in result.findings)
    return f'<ul class="found">{items}</ul>'


def _breakdowns(result: Result) -> str:
    """A table for each breakdown, folded away."""
    blocks = []
    for name, groups in result.breakdowns.items():
        summary = f"<summary>By {TITLES[name]} ({len(groups)})</summary>"
        blocks.append(f"<details>{summary}{_table(breakdown_rows(groups))}</details>")
    return "".join(blocks)


def _uncertainty(result: Result) -> str:
    """Errors and distributions in each bin, folded away."""
    if result.distribution is None:
        return "<p class='sub'>The catalogue has neither quantiles nor intervals.</p>"
    blocks = []
    for name, groups in result.distribution.bins.items():
        summary = f"<summary>By {TITLES[name]} ({len(groups)})</summary>"
        blocks.append(f"<details>{summary}{_table(quality_rows(groups))}</details>")
    return "".join(blocks)


def _figures(plots: Sequence[Plot]) -> str:
    """The tall first figure on the left, the next two stacked beside it, the others below."""
    figures = {plot.name: _figure(plot) for plot in plots}
    first = figures.pop("photoz_specz")
    beside = "".join(figures.pop(name) for name in ("residuals", "nz") if name in figures)
    blocks = [f'<div class="w5">{first}</div>', f'<div class="w7 stack">{beside}</div>']
    for plot in plots:
        if plot.name in figures:
            blocks.append(f'<div class="w{plot.width}">{figures[plot.name]}</div>')
    return "".join(blocks)


def _figure(plot: Plot) -> str:
    data = base64.b64encode(plot.png).decode("ascii")
    caption = f"<b>{html.escape(plot.title)}.</b> {html.escape(plot.caption)}"
    image = f'<img alt="{html.escape(plot.title)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _statistics(result: Result) -> list[str]:
    """The two columns of tables."""
    left = [statistics_table(result), paired_rows(result) if result.comparisons else []]
    right = [
        representative_rows(result),
        distribution_rows(result),
        structure_rows(result),
        subject_rows(result),
        match_rows(result),
    ]
    return ["".join(_table(rows) for rows in column if rows) for column in (left, right)]


def _table(rows: Rows) -> str:
    """Rows as an HTML table that scrolls where the page is narrow."""
    header = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    lines = []
    for row in rows[1:]:
        cells = "".join(_cell(cell) for cell in row)
        lines.append(f"<tr{_row_class(row)}>{cells}</tr>")
    head = f"<thead><tr>{header}</tr></thead>"
    body = f"<tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table>{head}{body}</table></div>'


LONGEST_NUMBER = 30
"""Characters; a longer cell holds words, which may be broken."""


def _cell(text: str) -> str:
    kind = ' class="text"' if len(text) > LONGEST_NUMBER else ""
    return f"<td{kind}>{html.escape(text).replace('+-', '&plusmn;')}</td>"


def _row_class(row: list[str]) -> str:
    if row[0].startswith("SMAD"):
        return ' class="strong"'
    return ' class="bad"' if row[0] == "FAILED" else ""


def write_markdown(
    result: Result, outcomes: Sequence[GateOutcome], plots: Sequence[Plot], path: Path
) -> None:
    """Write the report as Markdown, with links to the figures."""
    parts = [
        f"# Photo-z validation: {_plain(Path(result.catalogue).name)}",
        *([f"> **{_plain(result.subject.banner)}**"] if result.subject.banner else []),
        _plain(counts_line(result)),
        f"**{verdict(outcomes)[1]}**",
    ]
    parts += [
        "## Where they fail",
        *(f"- {_plain(finding.sentence())}" for finding in result.findings),
    ]
    if not result.findings:
        parts.append(NOTHING_FOUND)
    if outcomes:
        parts += ["## Gates", markdown_table(gate_rows(outcomes))]
    parts += ["## Statistics", markdown_table(statistics_table(result))]
    tables = [
        representative_rows(result),
        distribution_rows(result),
        structure_rows(result),
        subject_rows(result),
        match_rows(result),
    ]
    if result.comparisons:
        tables.insert(0, paired_rows(result))
    parts += [markdown_table(rows) for rows in tables if rows]
    parts.append("## Figures")
    for plot in plots:
        parts.append(f"![{plot.title}](plots/{plot.name}.png)")
        parts.append(f"*{_plain(plot.title)}. {_plain(plot.caption)}*")
    if result.distribution is not None:
        parts.append("## Uncertainty, bin by bin")
        for name, bins_of in result.distribution.bins.items():
            parts += [f"### Uncertainty by {TITLES[name]}", markdown_table(quality_rows(bins_of))]
    parts.append("## Bin by bin")
    for name, groups in result.breakdowns.items():
        parts += [f"### By {TITLES[name]}", markdown_table(breakdown_rows(groups))]
    parts += [*map(_plain, result.notes), footer()]
    with written_whole(path) as beside:
        beside.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def markdown_table(rows: Rows) -> str:
    """Rows as a Markdown table."""
    lines = []
    for row in rows:
        cells = [_plain(cell) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    rule = "|" + "---|" + "---:|" * (len(rows[0]) - 1)
    return "\n".join([lines[0], rule, *lines[1:]])


def _plain(text: str) -> str:
    """A text that Markdown shows as it is: names of files and tiles are no markup."""
    marks = re.sub(r"([\\`*\[\]|])", r"\\\1", " ".join(text.split()))
    return html.escape(marks, quote=False)


def footer() -> str:
    """Say which program wrote the report, and when."""
    return f"photoz-run {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
