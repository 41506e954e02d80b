"""Figures of breakdowns: trends with magnitude and redshift, categories, the sky, other methods."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from photoz_run.validation.breakdowns import FEWEST, TITLES
from photoz_run.validation.figures.style import (
    BLUE,
    GREY,
    INK,
    PALE,
    RED,
    new_figure,
    number,
    zero_line,
)
from photoz_run.validation.metrics import METHOD, Estimate, Group
from photoz_run.validation.result import Result

PUBLISHED = (
    ("ANNz2, four bands (published)", 0.021),
    ("ANNz2, nine bands (published)", 0.018),
    ("Inception, images and nine bands (published 2023)", 0.016),
)
"""SMAD(normdz) of KiDS DR4 bright galaxies with GAMA redshifts, as published.

These are other galaxies than those measured.
"""

TRENDS = ("r", "z_phot", "z_spec", "g_r", "psf")
CATEGORIES = ("colour", "flag", "mask", "hemisphere", "source")


def trends(result: Result) -> dict[str, Figure]:
    """Bias and SMAD against r, z_phot, z_spec, g - r and seeing, where they exist: one figure each.

    All have the same scale. Against r, red and blue galaxies are also drawn apart.
    """
    kind = kind_of_groups(result.grouping)
    drawn: dict[str, tuple[Figure, NDArray[Any]]] = {}
    for name in TRENDS:
        groups = _large(result.breakdowns.get(name, ()))
        if len(groups) > 1:
            series: Series = {"all": (groups, INK, "o")}
            if name == "r":
                series |= _by_colour(result)
            drawn[name] = _trend(name, series, kind)
    for row, ends in ((0, "both"), (1, "upper")):
        panels = [axes_S[row] for _, axes_S in drawn.values()]
        limits = np.array([panel.get_ylim() for panel in panels]).reshape(-1, 2)
        for panel in panels:
            low = 0.0 if ends == "upper" else float(limits[:, 0].min())
            panel.set_ylim(low, float(limits[:, 1].max()))
    return {f"trends_{name}": figure for name, (figure, _) in drawn.items()}


Series = dict[str, tuple[Sequence[Group], str, str]]
"""By label: groups, colour and marker."""


def _trend(name: str, series: Series, kind: str) -> tuple[Figure, NDArray[Any]]:
    """Bias above SMAD against one number."""
    figure = new_figure(2.6, 3.9)
    axes_S = figure.subplots(2, 1, sharex=True)
    for panel, statistic in zip(axes_S, ("mean_normdz", "smad"), strict=True):
        for label, (groups, colour, marker) in series.items():
            errorbars(panel, groups, statistic, colour, marker, label)
    zero_line(axes_S[0])
    every = next(iter(series.values()))[0]
    axes_S[0].set_xlim(*span(every))
    unit = " (arcsec)" if name == "psf" else ""
    axes_S[1].set_xlabel(f"{TITLES[name]}{unit}")
    axes_S[0].set_ylabel(r"bias of $\Delta z / (1 + z)$")
    axes_S[1].set_ylabel(r"SMAD of $\Delta z / (1 + z)$")
    groups_of = [group["smad"].groups for group in every]
    number(axes_S[0], sum(group.n for group in every), groups_of_bins(groups_of, kind))
    if len(series) > 1:
        axes_S[1].legend(loc="lower left", ncols=3, handletextpad=0.2, columnspacing=0.8)
    return figure, axes_S


def kind_of_groups(grouping: str) -> str:
    """What errors are taken over, in a word: tiles; "" for single galaxies."""
    return grouping.split()[1] if grouping[:1].isdigit() else ""


def groups_of_bins(numbers: Sequence[int], kind: str) -> str:
    """Over how many groups the errors of bins are taken, in words: ``3 to 8 tiles a bin``."""
    if not kind or max(numbers) < 2:
        return "errors by galaxy"
    least, most = min(numbers), max(numbers)
    span_of_numbers = f"{least:,} to {most:,}" if least < most else f"{most:,}"
    return f"{span_of_numbers} {kind} a bin"


def _large(groups: Sequence[Group]) -> Sequence[Group]:
    """Bins of `FEWEST` galaxies or more: others would be stray points with long bars."""
    return [group for group in groups if group.n >= FEWEST]


def span(groups: Sequence[Group]) -> tuple[float, float]:
    """Limits of the axis: the outermost bins are cut where their galaxies become rare."""
    first, last = groups[0], groups[-1]
    inner_half = first.high_edge - first.centre
    low = max(first.low_edge, first.centre - 1.2 * inner_half - 0.01)
    inner_half = last.centre - last.low_edge
    high = min(last.high_edge, last.centre + 1.2 * inner_half + 0.01)
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _by_colour(result: Result) -> Series:
    """Groups, colour and marker of red and of blue galaxies, where there are any."""
    series: Series = {}
    for label, colour, marker in (("red", RED, "s"), ("blue", BLUE, "^")):
        of_all = result.breakdowns.get("colour_r", ())
        groups = [group for group in _large(of_all) if group.label.startswith(label)]
        if groups:
            series[label] = (groups, colour, marker)
    return series


def errorbars(
    axes: Axes, groups: Sequence[Group], statistic: str, colour: str, marker: str, label: str
) -> None:
    """Points with the bootstrap interval upright, and the extent of the bin as a thin line."""
    estimates = [group[statistic] for group in groups]
    x = [group.centre for group in groups]
    y = [estimate.value for estimate in estimates]
    error = np.transpose([_bars(estimate) for estimate in estimates])
    axes.errorbar(
        x, y, error, color=colour, marker=marker, ms=3.8, lw=1, elinewidth=1, label=label, zorder=3
    )
    left = [group.low_edge for group in groups]
    right = [group.high_edge for group in groups]
    axes.hlines(y, left, right, color=colour, lw=0.5, alpha=0.45)


def _bars(estimate: Estimate) -> tuple[float, float]:
    """Lengths of the error bar below and above; 0 where there is no interval."""
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    lengths = np.nan_to_num(np.clip([below, above], 0, None))
    return float(lengths[0]), float(lengths[1])


def categories(result: Result) -> dict[str, Figure]:
    """SMAD and bias of each category of colour, flag, mask, hemisphere and spec-z survey."""
    groups: list[Group] = []
    for name in CATEGORIES:
        groups += _large(result.breakdowns.get(name, ()))
    if not groups:
        return {}
    figure = new_figure(5.8, 0.24 * len(groups) + 1.1)
    axes = figure.subplots(1, 2, sharey=True)
    y = -np.arange(len(groups))
    for panel, statistic, title in (
        (axes[0], "smad", "SMAD"),
        (axes[1], "mean_normdz", "bias"),
    ):
        value = [group[statistic].value for group in groups]
        error = np.transpose([_bars(group[statistic]) for group in groups])
        usual = result.overall[statistic].value
        panel.axvline(usual, color=PALE, lw=3, zorder=0)
        panel.errorbar(value, y, xerr=error, fmt="o", ms=4, color=INK, elinewidth=1)
        panel.set_xlabel(rf"{title} of $\Delta z / (1 + z)$")
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
        panel.margins(x=0.12)
        panel.xaxis.set_major_locator(MaxNLocator(3))
    number(axes[1], result.overall.n, result.errors_over)
    labels = [f"{TITLES[group.breakdown]}: {group.label} ({group.n:,})" for group in groups]
    axes[0].set_yticks(y, labels)
    axes[1].axvline(0, color=GREY, lw=0.7)
    axes[0].set_title("grey: all galaxies", color=GREY, fontsize=8)
    for k in range(1, len(groups)):
        if groups[k].breakdown != groups[k - 1].breakdown:
            for panel in axes:
                panel.axhline(-k + 0.5, color=PALE, lw=0.5)
    return {"categories": figure}


def methods(result: Result) -> Figure:
    """SMAD of this catalogue, of other redshift columns on the same galaxies, and as published."""
    simulated = ", simulated training" if result.subject.simulated_training else ""
    measured = [(METHOD + simulated, result.overall, RED)]
    for comparison in result.comparisons:
        measured.append((comparison.group.label, comparison.group, BLUE))
    figure = new_figure(5.8, 0.34 * (len(measured) + len(PUBLISHED)) + 0.9)
    axes = figure.subplots()
    above: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 8}
    labels = []
    for k, (label, group, colour) in enumerate(measured):
        smad = group["smad"]
        error = np.transpose([_bars(smad)])
        axes.errorbar(smad.value, -k, xerr=error, fmt="o", ms=6, color=colour)
        axes.annotate(f"{smad.value:.4f}", (smad.value, -k), (0, 5), **above)
        labels.append(f"{label} (N = {group.n:,})")
    for k, (label, value) in enumerate(PUBLISHED, start=len(measured)):
        axes.plot(value, -k, marker="D", ms=5, mfc="none", color=GREY)
        axes.annotate(f"{value:.3f}", (value, -k), (0, 5), color=GREY, **above)
        labels.append(label)
    axes.set_yticks(-np.arange(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", color=PALE, lw=0.5)
    axes.set_ylim(-len(labels) + 0.4, 0.75)
    axes.set_xlim(0, 1.08 * axes.get_xlim()[1])
    axes.set_xlabel(r"SMAD of $\Delta z / (1 + z)$")
    number(axes, result.overall.n, result.errors_over)
    return figure
