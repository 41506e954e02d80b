"""The look of the figures: colours for colour-blind readers too, quiet axes, print sizes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

# Okabe & Ito (2008).
BLUE, RED, GREEN, ORANGE, PURPLE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
)
INK, GREY, PALE = "#222222", "#767676", "#D9D9D9"
DENSITY = "viridis"
"""Even in brightness for every kind of sight."""

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "regular",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 170,
    "pdf.fonttype": 42,
    "mathtext.default": "regular",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw and save inside this context."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of a size in inches; no window, no global state."""
    return Figure(figsize=(width, height))


def zero_line(axes: Axes) -> None:
    """A thin line at 0."""
    axes.axhline(0, color=GREY, lw=0.7, zorder=1)


def number(axes: Axes, n: int, groups: str = "") -> None:
    """Write the number of objects, and what their errors are taken over, above the axes."""
    over = f", {groups}" if groups else ""
    axes.set_title(f"N = {n:,}{over}", loc="right", color=GREY, fontsize=8)


def counts_bar(
    figure: Figure, density: PolyCollection, axes: Axes, label: str, shrink: float = 1.0
) -> None:
    """A bar of colours for numbers of objects, which are written out: 6, not 6 x 10^0."""
    bar = figure.colorbar(density, ax=axes, label=label, pad=0.02, shrink=shrink)
    bar.ax.yaxis.set_major_formatter(LogFormatter())
    bar.ax.yaxis.set_minor_formatter(LogFormatter())
