"""Figures of a comparison: how redshifts moved, and the accuracy of both catalogues."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from photoz_run.science.statistics import Floats
from photoz_run.validation.breakdowns import TITLES
from photoz_run.validation.changes.accuracy import Accuracy, BinChange
from photoz_run.validation.figures.bins import groups_of_bins, kind_of_groups
from photoz_run.validation.figures.style import (
    DENSITY,
    GREY,
    INK,
    PALE,
    RED,
    counts_bar,
    new_figure,
    number,
    zero_line,
)

TRENDS = ("r", "z_phot", "z_spec", "colour")
SHIFT = r"$(z_A - z_B) / (1 + z_B)$"
MOST = 200_000
"""Sources that are drawn; more would only take time."""


def moved(z_a_K: Floats, z_b_K: Floats, scatter: float) -> dict[str, Figure]:
    """How far redshifts moved: against the redshift, and their distribution."""
    known = np.flatnonzero(np.isfinite(z_a_K) & np.isfinite(z_b_K))
    if not len(known):
        return {}
    drawn = known[:: max(1, len(known) // MOST)]
    z, shift = z_b_K[drawn], (z_a_K[drawn] - z_b_K[drawn]) / (1 + z_b_K[drawn])
    figure = new_figure(7.4, 3.2)
    left, right = figure.subplots(1, 2)
    width = scatter if scatter > 0 else 0.02
    span = 4.5 * width
    top = float(np.quantile(z, 0.999)) * 1.05
    density = left.hexbin(
        z,
        np.clip(shift, -span, span),
        gridsize=(40, 24),
        extent=(0, top, -span, span),
        cmap=DENSITY,
        norm=LogNorm(vmin=1),
        mincnt=1,
        linewidths=0.1,
        rasterized=True,
    )
    counts_bar(figure, density, left, "sources per cell")
    _scatter_lines(left, scatter, vertical=False)
    left.set(xlim=(0, top), ylim=(-span, span), xlabel=r"$z_B$", ylabel=SHIFT)
    number(left, len(known))
    far = max(span, float(np.max(np.abs(shift))))
    right.hist(shift, np.linspace(-far, far, 102), color="#A6CEE3", log=True)
    _scatter_lines(right, scatter, vertical=True)
    right.set(xlim=(-far, far), xlabel=SHIFT, ylabel="sources")
    number(right, len(known))
    return {"changes_moved": figure}


def _scatter_lines(axes: Axes, scatter: float, vertical: bool) -> None:
    """Dashed lines at plus and minus the scatter of the redshifts."""
    draw = axes.axvline if vertical else axes.axhline
    draw(0, color=GREY, lw=0.7)
    for sign in (-1, 1):
        if scatter > 0:
            draw(sign * scatter, color=RED, lw=0.9, ls=(0, (5, 3)))


def accuracies(measured: Accuracy | None) -> dict[str, Figure]:
    """Change of bias and of SMAD against magnitude and redshift: one figure each."""
    if measured is None:
        return {}
    figures = {}
    for name in TRENDS:
        bins = [part for part in measured.bins if part.breakdown == name]
        if len(bins) > 1:
            figures[f"changes_{name}"] = _accuracy(name, bins, kind_of_groups(measured.errors_over))
    return figures


def _accuracy(name: str, bins: Sequence[BinChange], kind: str) -> Figure:
    figure = new_figure(2.6, 3.9)
    panels = figure.subplots(2, 1, sharex=True)
    x = np.arange(len(bins))
    words = (("mean_normdz", "bias, A - B"), ("smad", "SMAD, A - B"))
    for panel, (statistic, label) in zip(panels, words, strict=True):
        differences = [
            next(change.difference for change in part.changes if change.statistic == statistic)
            for part in bins
        ]
        value = np.array([difference.value for difference in differences])
        low = np.array([difference.low for difference in differences])
        high = np.array([difference.high for difference in differences])
        bars = np.nan_to_num(np.clip([value - low, high - value], 0, None))
        zero_line(panel)
        panel.errorbar(x, value, bars, fmt="o", ms=4, color=INK, elinewidth=1, capsize=0)
        panel.set_ylabel(label)
        panel.margins(x=0.1, y=0.15)
        panel.grid(axis="y", color=PALE, lw=0.4)
    labels = [part.label for part in bins]
    panels[1].set_xticks(x, labels, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
    panels[1].set_xlabel(TITLES[name])
    groups = [part.changes[0].difference.groups for part in bins]
    number(panels[0], sum(part.n for part in bins), groups_of_bins(groups, kind))
    return figure
