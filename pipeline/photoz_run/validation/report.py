"""The report of a validation: its figures, one HTML page, and Markdown."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from photoz_run.validation.bin_rows import (
    breakdown_rows,
    lacking_rows,
    quality_rows,
    suspect_rows,
    tomography_line,
    tomography_rows,
)
from photoz_run.validation.breakdowns import TITLES
from photoz_run.validation.figures import bins, distributions, sky
from photoz_run.validation.figures.style import style
from photoz_run.validation.page import (
    Page,
    Plot,
    Section,
    html_beside,
    html_columns,
    html_figure,
    html_fold,
    html_items,
    html_note,
    html_table,
    markdown_figure,
    markdown_table,
    plain,
    save,
    write_markdown,
)
from photoz_run.validation.pairs import Pairs
from photoz_run.validation.representative import LackingMap
from photoz_run.validation.result import GateOutcome, Result
from photoz_run.validation.rows import (
    Rows,
    counts_line,
    distribution_rows,
    gate_rows,
    match_rows,
    paired_rows,
    representative_rows,
    statistics_table,
    structure_rows,
    subject_rows,
)

NOTHING_FOUND = "No category, tile or survey differs from the others by more than chance."
NOT_COMPARED = "Not known: the notes at the end say what is missing."
NO_DISTRIBUTION = "The catalogue has neither quantiles nor intervals."

CAPTIONS = {
    "photoz_specz": (
        "Photometric against spectroscopic redshift",
        "Number of galaxies per cell. Below: the normalised residual, with its running median and"
        " its 16% and 84% quantiles.",
    ),
    "residuals": (
        "Normalised residuals",
        "The curves are a Gaussian of width SMAD and a fitted Student distribution. The right"
        " panel shows the tails on a logarithmic scale.",
    ),
    "nz": (
        "Redshift distributions",
        "Left: n(z) of the same galaxies, photometric and spectroscopic. Right: n(z_phot) of the"
        " whole catalogue relative to neighbouring bins. A spike that leaves the band is narrower"
        " than the photo-z can resolve, so the method made it.",
    ),
    "trends": (
        "Bias and scatter by magnitude, redshift, colour and seeing",
        "Bins hold equal numbers of galaxies unless edges were given. Horizontal lines show their"
        " extent, vertical ones the 68% bootstrap interval. Some slope against the spectroscopic"
        " redshift is expected of any photo-z.",
    ),
    "methods": (
        "Beside other methods",
        "Filled: measured on the galaxies of this validation. Open: as published, for other"
        " galaxies.",
    ),
    "tomography": (
        "n(z) in tomographic bins",
        "Lines: predicted from stacked distributions of the catalogue. Steps: spec-z, weighted to"
        " the catalogue where its magnitudes are known.",
    ),
    "pit": ("Calibration of the predicted distributions", ""),
    "categories": (
        "Scatter and bias by category",
        "Bars are 68% bootstrap intervals. A galaxy may have several flags.",
    ),
    "sky": (
        "Scatter on the sky",
        "SMAD of each tile. Tiles with fewer than 20 galaxies are grey.",
    ),
    "no_spectrum": (
        "Sources that no spectrum is like",
        "Share of the catalogue by r magnitude, by tile and magnitude, and by place on the sky.",
    ),
    "outliers": (
        "The worst outliers",
        "The galaxies with the largest |normdz|: their colour stamps (i, r, g as red, green, blue)"
        " and their magnitudes.",
    ),
}
"""Title and caption of each figure, in the order of the report."""

Figures = Mapping[str, Figure]


def draw(
    result: Result, pairs: Pairs, gallery: Callable[[], Figures], directory: Path
) -> dict[str, Plot]:
    """Draw every figure that has data, and save it as PNG and PDF in ``directory``."""
    columns, overall, groups = pairs.columns, result.overall, result.errors_over

    def of_distribution() -> Figures:
        d = result.distribution
        return {"pit": distributions.pit_figure(d, groups)} if d else {}

    def of_likeness() -> Figures:
        r = result.representative
        return sky.lacking_maps(r.map) if r else {}

    makers: dict[str, Callable[[], Figures]] = {
        "photoz_specz": lambda: {
            "photoz_specz": distributions.photoz_against_specz(columns, overall, groups)
        },
        "residuals": lambda: {
            "residuals": distributions.residual_histogram(columns, overall, groups)
        },
        "nz": lambda: {"nz": distributions.nz_figure(columns, result.spikes, result.rows, groups)},
        "trends": lambda: bins.trends(result),
        "categories": lambda: bins.categories(result),
        "tomography": lambda: (
            {"tomography": distributions.tomography_figure(result.tomography, groups)}
            if result.tomography
            else {}
        ),
        "sky": lambda: sky.sky_map(columns, result),
        "no_spectrum": of_likeness,
        "methods": lambda: {"methods": bins.methods(result)},
        "pit": of_distribution,
        "outliers": gallery,
    }
    directory.mkdir(parents=True, exist_ok=True)
    plots = {}
    for name, make in makers.items():
        with style():
            if figures := make():
                title, caption = CAPTIONS[name]
                if name == "pit" and result.distribution:
                    caption = (
                        f"PIT {result.distribution.source}. Band: 2 sigma about a uniform one."
                    )
                plots[name] = save(figures, directory, title, caption)
    return plots


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
    result: Result, outcomes: Sequence[GateOutcome], plots: Mapping[str, Plot], path: Path
) -> None:
    """Write the page, with the figures inside it; it needs no script and no other file."""
    sections = [Section("findings", "Where they fail", _findings(result))]
    if outcomes:
        sections.append(Section("gates", "Gates", html_table(gate_rows(outcomes))))
    sections += [
        Section("figures", "Figures", _figures(plots)),
        Section("statistics", "Statistics", _statistics(result)),
        Section("likeness", "Is the sample like the catalogue?", _likeness(result)),
        Section("nz", "n(z) in tomographic bins", _tomography(result)),
        Section("uncertainty", "Uncertainty, bin by bin", _uncertainty(result)),
        Section("bins", "Bin by bin", _breakdowns(result)),
    ]
    Page(
        title="Photo-z validation",
        name=Path(result.catalogue).name,
        subtitle=f"{result.catalogue}: {counts_line(result)}",
        banners=[result.subject.banner] if result.subject.banner else [],
        verdict=verdict(outcomes),
        keys=key_figures(result),
        sections=sections,
    ).write(path)


def _findings(result: Result) -> str:
    """What stands out, and folded away the tiles to look at."""
    items = html_items([finding.sentence() for finding in result.findings], NOTHING_FOUND)
    tiles = result.suspects.tiles
    if not tiles:
        return items
    words = result.suspects.sentence()
    return items + html_fold(words[0].upper() + words[1:], suspect_rows(tiles))


BESIDE = ("residuals", "nz")
"""Figures that are stacked beside the tall first one."""
WHOLE = ("trends", "outliers")
"""Figures as wide as the page."""


def _figures(plots: Mapping[str, Plot]) -> str:
    """The tall first figure beside two others; the small ones in two columns; then the wide."""
    figures = dict(plots)
    first = html_figure(figures.pop("photoz_specz"))
    beside = "".join(html_figure(figures.pop(name)) for name in BESIDE if name in figures)
    wide = "".join(html_figure(figures.pop(name)) for name in WHOLE if name in figures)
    return (
        f'<div class="grid"><div class="w5">{first}</div><div class="w7">{beside}</div></div>'
        f'{html_columns(list(figures.values()))}<div class="whole">{wide}</div>'
    )


def _statistics(result: Result) -> str:
    """The table of statistics over the whole width, the others in two columns."""
    columns = [_tables_on_the_left(result), _tables_on_the_right(result)]
    beside = html_beside(*("".join(map(html_table, tables)) for tables in columns))
    return html_table(statistics_table(result)) + beside


def _tables_on_the_left(result: Result) -> list[Rows]:
    compared = paired_rows(result) if result.comparisons else []
    tables = [compared, distribution_rows(result), structure_rows(result)]
    return [rows for rows in tables if rows]


def _tables_on_the_right(result: Result) -> list[Rows]:
    return [match_rows(result), subject_rows(result)]


def _likeness(result: Result) -> str:
    """Where the catalogue has no spectra, by magnitude, and folded away by tile."""
    r = result.representative
    if r is None:
        return html_note(NOT_COMPARED)
    places = ""
    if r.map.magnitudes:
        places += html_table(lacking_rows(r.map.magnitudes, TITLES["r"]))
    if r.map.tiles:
        rows = lacking_rows(r.map.tiles, TITLES["tile"])
        places += html_fold(f"By tile ({len(r.map.tiles)})", rows)
    return html_beside(html_table(representative_rows(result)), places)


def _tomography(result: Result) -> str:
    nz = result.tomography
    if nz is None:
        return html_note(NO_DISTRIBUTION)
    return html_table(tomography_rows(nz)) + html_note(tomography_line(nz))


def _uncertainty(result: Result) -> str:
    """Errors and distributions in each bin, folded away."""
    if result.distribution is None:
        return html_note(NO_DISTRIBUTION)
    blocks = []
    for name, groups in result.distribution.bins.items():
        blocks.append(html_fold(f"By {TITLES[name]} ({len(groups)})", quality_rows(groups)))
    return "".join(blocks)


def _breakdowns(result: Result) -> str:
    """A table for each breakdown, folded away, and what was left out."""
    blocks = []
    for name, groups in result.breakdowns.items():
        blocks.append(html_fold(f"By {TITLES[name]} ({len(groups)})", breakdown_rows(groups)))
    return "".join([*blocks, *map(html_note, result.notes)])


def write_as_markdown(
    result: Result, outcomes: Sequence[GateOutcome], plots: Mapping[str, Plot], path: Path
) -> None:
    """Write the report as Markdown, with links to the figures."""
    parts = [
        f"# Photo-z validation: {plain(Path(result.catalogue).name)}",
        *([f"> **{plain(result.subject.banner)}**"] if result.subject.banner else []),
        plain(counts_line(result)),
        f"**{verdict(outcomes)[1]}**",
        "## Where they fail",
        *(f"- {plain(finding.sentence())}" for finding in result.findings),
    ]
    if not result.findings:
        parts.append(NOTHING_FOUND)
    if result.suspects.tiles:
        parts += [
            f"{result.suspects.sentence()}:",
            markdown_table(suspect_rows(result.suspects.tiles)),
        ]
    if outcomes:
        parts += ["## Gates", markdown_table(gate_rows(outcomes))]
    tables = [*_tables_on_the_left(result), *_tables_on_the_right(result)]
    parts += ["## Statistics", markdown_table(statistics_table(result))]
    parts += [markdown_table(rows) for rows in tables]
    if result.representative is not None:
        parts += _likeness_as_markdown(result, result.representative.map)
    if result.tomography is not None:
        parts += ["## n(z) in tomographic bins", markdown_table(tomography_rows(result.tomography))]
        parts.append(plain(tomography_line(result.tomography)))
    parts.append("## Figures")
    for plot in plots.values():
        parts += markdown_figure(plot)
    if result.distribution is not None:
        parts.append("## Uncertainty, bin by bin")
        for name, bins_of in result.distribution.bins.items():
            parts += [f"### Uncertainty by {TITLES[name]}", markdown_table(quality_rows(bins_of))]
    parts.append("## Bin by bin")
    for name, groups in result.breakdowns.items():
        parts += [f"### By {TITLES[name]}", markdown_table(breakdown_rows(groups))]
    write_markdown([*parts, *map(plain, result.notes)], path)


def _likeness_as_markdown(result: Result, lacking: LackingMap) -> list[str]:
    parts = ["## Is the sample like the catalogue?", markdown_table(representative_rows(result))]
    for name, bins_of in (("r", lacking.magnitudes), ("tile", lacking.tiles)):
        if bins_of:
            parts.append(markdown_table(lacking_rows(bins_of, TITLES[name])))
    return parts
