"""Tables of the report with one row per bin, as rows of text."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from photoz_run.validation import quality
from photoz_run.validation.breakdowns import FEWEST
from photoz_run.validation.findings import Finding
from photoz_run.validation.metrics import STATISTICS, Estimate, Group
from photoz_run.validation.quality import Quality
from photoz_run.validation.representative import Lacking
from photoz_run.validation.rows import Rows, effective_words, format_estimate, quality_figure
from photoz_run.validation.tomography import Tomography
from photoz_run.wording import counted

BREAKDOWN_STATISTICS = (
    "mean_normdz",
    "median_normdz",
    "smad",
    "sigma_68",
    "outliers_015",
    "coverage_68",
)


QUALITY_STATISTICS = (
    "coverage_68",
    "coverage_95",
    "calibration_error",
    "crps",
    "cde_loss",
    "pull_median",
    "pull_smad",
)


def breakdown_rows(groups: Sequence[Group]) -> Rows:
    """One row per bin, and below it the same weighted to the whole catalogue."""
    names = [name for name in BREAKDOWN_STATISTICS if name in groups[0].estimates]
    rows = [["bin", "galaxies", *(STATISTICS[name] for name in names)]]
    for group in _large(groups):
        rows.append([group.label, f"{group.n:,}", *_estimates(names, group.estimates)])
        if group.weighted:
            values = _estimates(names, group.weighted)
            rows.append([WEIGHTED, effective_words(group.effective), *values])
    return rows + _small(groups, len(names))


def _estimates(names: Sequence[str], estimates: Mapping[str, Estimate]) -> list[str]:
    return [format_estimate(estimates[name]) for name in names]


def quality_rows(groups: Sequence[Quality]) -> Rows:
    """One row per bin: whether errors and distributions describe the scatter."""
    names = [name for name in QUALITY_STATISTICS if name in groups[0].estimates]
    rows = [["bin", "galaxies", *(quality.STATISTICS[name] for name in names), "KS of PIT"]]
    for group in _large(groups):
        values = [quality_figure(group.estimates, name) for name in names]
        ks = f"{group.uniformity.ks:.3f} (p = {group.uniformity.ks_p:.2g})"
        rows.append([group.label, f"{group.n:,}", *values, ks])
        if group.weighted:
            values = [quality_figure(group.weighted, name) for name in names]
            rows.append([WEIGHTED, effective_words(group.effective), *values, "-"])
    return rows + _small(groups, len(names) + 1)


WEIGHTED = "\u2003weighted"
"""The row of a bin below that without weights, set in."""

Bins = TypeVar("Bins", Group, Quality)


def _large(groups: Sequence[Bins]) -> list[Bins]:
    """The bins whose figures say something."""
    return [group for group in groups if group.n >= FEWEST]


def _small(groups: Sequence[Group] | Sequence[Quality], columns: int) -> Rows:
    """One row for all bins that are left out; none if there are none."""
    small = [group.n for group in groups if group.n < FEWEST]
    if not small:
        return []
    words = f"{counted(len(small), 'bin')} of fewer than {FEWEST} galaxies"
    return [[words, f"{sum(small):,}", *["left out"] * columns]]


def lacking_rows(parts: Sequence[Lacking], title: str) -> Rows:
    """The share of sources that no spectrum is like, bin by bin."""
    rows = [[title, "sources", "no spectrum is like them"]]
    for part in parts:
        rows.append([part.label, f"{part.sources:,}", f"{part.share:.1%}"])
    return rows


def tomography_rows(nz: Tomography) -> Rows:
    """One row per tomographic bin: mean and width of n(z), predicted and spectroscopic."""
    header = ["bin", "sources", "spectra", "mean, predicted", "mean, spec-z", "difference"]
    rows = [[*header, "the same galaxies", "width, predicted", "width, spec-z"]]
    for part in nz.bins:
        values = [
            format_estimate(part.mean_predicted),
            format_estimate(part.mean_spectroscopic),
            format_estimate(part.mean_difference, sign="+"),
            format_estimate(part.same_galaxies, sign="+"),
            format_estimate(part.width_predicted),
            format_estimate(part.width_spectroscopic),
        ]
        if part.galaxies < FEWEST:
            values[1:] = ["too few spectra"] * (len(values) - 1)
        rows.append([part.label, f"{part.sources:,}", f"{part.galaxies:,}", *values])
    return rows


def tomography_line(nz: Tomography) -> str:
    """Say how the bins were made."""
    return (
        f"Galaxies are assigned {nz.assigned}. n(z) is predicted {nz.source}, for the whole"
        f" catalogue or a sample of it; spectra are weighted {nz.weights}. The same galaxies:"
        " predicted minus spectroscopic mean of those with spec-z, unweighted."
    )


def suspect_rows(tiles: Sequence[Finding]) -> Rows:
    """One row per tile and statistic that is worth a look."""
    rows = [["tile", "galaxies", "statistic", "here", "usual", "sigma"]]
    for tile in tiles:
        name = {"bias": "median of normdz", "scatter": "SMAD of normdz"}[tile.kind]
        values = [f"{value:z.4f}" for value in (tile.value, tile.usual)]
        rows.append([tile.label, f"{tile.n:,}", name, *values, f"{tile.significance:.1f}"])
    return rows
