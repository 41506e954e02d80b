"""Figures of distributions: z_phot against z_spec, normdz, PIT, n(z)."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from photoz_run.science.redshift_distribution import Spikes
from photoz_run.science.statistics import Floats, normalised_residual, quantile
from photoz_run.validation.breakdowns import FEWEST
from photoz_run.validation.figures.style import (
    BLUE,
    DENSITY,
    GREY,
    INK,
    ORANGE,
    PALE,
    RED,
    counts_bar,
    new_figure,
    number,
    zero_line,
)
from photoz_run.validation.metrics import Group
from photoz_run.validation.tables import Columns
from photoz_run.validation.tomography import Tomography, coarse
from photoz_run.validation.uncertainty import Distribution

PER_BIN = 100
"""Galaxies in a bin of the running quantiles."""

DRAWN_CELLS = 60
"""Cells of the spectroscopic n(z) in a drawing."""

FIT_SAMPLE = 20_000
"""Values that the Student fit is made of; more would only take time."""


def photoz_against_specz(columns: Columns, overall: Group, groups: str) -> Figure:
    """Density of z_phot against z_spec, and of normdz below it with its running quantiles."""
    z, z_phot = _finite(columns)
    top = float(np.quantile(np.concatenate([z, z_phot]), 0.999)) * 1.05 if len(z) else 1.0
    figure = new_figure(5.2, 7.2)
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1.25], sharex=True)
    grid = int(np.clip(np.sqrt(len(z)), 30, 120))
    density = _density(upper, z, z_phot, (0, top, 0, top), (grid, round(grid / 1.73)))
    line = np.array([0, top])
    upper.plot(line, line, color=RED, lw=1)
    for sign in (-1, 1):
        label = r"$|\Delta z| = 0.15\,(1 + z)$" if sign > 0 else None
        limit = line + sign * 0.15 * (1 + line)
        upper.plot(line, limit, color=RED, lw=0.8, ls=(0, (5, 3)), label=label)
    upper.set(xlim=(0, top), ylim=(0, top), ylabel=r"$z_{\rm phot}$", aspect="equal")
    upper.legend(loc="lower right")
    smad, bias, outliers = (overall[name].value for name in ("smad", "bias", "outliers_015"))
    text = f"SMAD  {smad:.4f}\nbias  {bias:+z.4f}\noutliers  {outliers:.2%}"
    upper.text(0.04, 0.96, text, transform=upper.transAxes, va="top", linespacing=1.5)
    number(upper, len(z), groups)
    counts_bar(figure, density, upper, "galaxies per cell", shrink=0.8)

    x = normalised_residual(z_phot, z)
    span = float(np.clip(4.5 * overall["smad"].value, 0.01, 0.5))
    _density(lower, z, x, (0, top, -span, span), (grid, round(grid / 1.73 / 2.2)))
    zero_line(lower)
    centres, quantiles_K3 = running_quantiles(z, x)
    # A line through one bin is not seen: points are.
    lower.plot(centres, quantiles_K3[:, 1], color=RED, lw=1.2, marker="o", ms=3, label="median")
    for k, label in ((0, None), (2, "16%, 84%")):
        lower.plot(
            centres, quantiles_K3[:, k], color=RED, lw=0.8, ls=(0, (4, 2)), marker="o", ms=2,
            label=label,
        )  # fmt: skip
    lower.set(
        xlim=(0, top),
        ylim=(-span, span),
        xlabel=r"$z_{\rm spec}$",
        ylabel=r"$\Delta z / (1 + z_{\rm spec})$",
    )
    lower.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
    return figure


def _density(
    axes: Axes,
    x: Floats,
    y: Floats,
    extent: tuple[float, float, float, float],
    grid: tuple[int, int],
) -> PolyCollection:
    return axes.hexbin(
        x,
        y,
        gridsize=grid,
        extent=extent,
        cmap=DENSITY,
        norm=LogNorm(vmin=1),
        mincnt=1,
        linewidths=0.1,
        rasterized=True,
    )


def running_quantiles(z_N: Floats, x_N: Floats) -> tuple[Floats, Floats]:
    """Quantiles of x at 16, 50 and 84%, in up to 25 bins of z with equal numbers.

    Returns
    -------
    Median z of each bin, shape (K,), and the quantiles, shape (K, 3).
    """
    bins = int(np.clip(len(z_N) // PER_BIN, 1, 25))
    parts = [part for part in np.array_split(np.argsort(z_N), bins) if len(part)]
    centre_K = np.array([np.median(z_N[part]) for part in parts])
    quantiles = [quantile(x_N[part], [0.16, 0.5, 0.84]) for part in parts]
    return centre_K, np.array(quantiles).reshape(-1, 3)


def residual_histogram(columns: Columns, overall: Group, groups: str) -> Figure:
    """Distribution of normdz with a Gaussian and a Student fit, linear and logarithmic."""
    z, z_phot = _finite(columns)
    x = normalised_residual(z_phot, z)
    centre, smad = overall["median_normdz"].value, max(overall["smad"].value, 1e-6)
    few = x[:: max(1, len(x) // FIT_SAMPLE)]
    nu, location, scale = stats.t.fit(few, loc=centre, scale=smad)
    freedom = f"{nu:.1f}" if nu < 100 else "over 100"
    bins = int(np.clip(2 * np.sqrt(len(x)), 15, 90))
    figure = new_figure(7.4, 3.2)
    for axes, span, log in zip(figure.subplots(1, 2), (4.5, 15), (False, True), strict=True):
        edges = centre + np.linspace(-span, span, bins + 1) * smad
        width = edges[1] - edges[0]
        axes.hist(x, edges, color=SKY_FILL, label="galaxies", log=log)
        fine = np.linspace(edges[0], edges[-1], 600)
        gauss = len(x) * width * stats.norm.pdf(fine, centre, smad)
        student = len(x) * width * stats.t.pdf(fine, nu, location, scale)
        axes.plot(fine, gauss, color=INK, lw=1, ls=(0, (4, 2)), label=f"Gaussian, SMAD {smad:.4f}")
        axes.plot(fine, student, color=RED, lw=1.3, label=f"Student, {freedom} degrees of freedom")
        axes.set(
            xlim=(edges[0], edges[-1]), xlabel=r"$\Delta z / (1 + z_{\rm spec})$", ylabel="galaxies"
        )
        axes.xaxis.set_major_locator(MaxNLocator(5))
        if log:
            axes.set_ylim(0.5, 3 * max(float(np.max(gauss)), 1.0))
        else:
            top = axes.get_ylim()[1]
            axes.set_ylim(0, 1.3 * top)
            axes.legend(loc="upper left", ncols=1)
        number(axes, len(x), groups)
    return figure


SKY_FILL = "#A6CEE3"


def pit_figure(distribution: Distribution, groups: str) -> Figure:
    """Histogram of PIT values, and their distribution against the uniform one."""
    pit = distribution.pit_N[np.isfinite(distribution.pit_N)]
    figure = new_figure(5.8, 2.9)
    left, right = figure.subplots(1, 2)
    bins = 20
    left.hist(pit, np.linspace(0, 1, bins + 1), color=SKY_FILL, edgecolor="white", lw=0.4)
    expected = len(pit) / bins
    noise = np.sqrt(expected * (1 - 1 / bins))
    left.axhspan(expected - 2 * noise, expected + 2 * noise, color=ORANGE, alpha=0.35, lw=0)
    left.axhline(expected, color=INK, lw=0.8)
    left.set(xlim=(0, 1), xlabel="PIT", ylabel="galaxies")
    number(left, len(pit), groups)
    levels = np.linspace(0, 1, 201)
    deviation = np.searchsorted(np.sort(pit), levels) / max(len(pit), 1) - levels
    right.fill_between(levels, deviation, color=SKY_FILL, lw=0)
    right.plot(levels, deviation, color=BLUE, lw=1.2)
    zero_line(right)
    u = distribution.uniformity
    right.set(
        xlim=(0, 1),
        xlabel="predicted probability",
        ylabel="observed minus predicted",
    )
    words = f"KS {u.ks:.4f}\nCvM {u.cvm:.2f}"
    right.text(0.97, 0.97, words, transform=right.transAxes, va="top", ha="right", fontsize=8)
    number(right, len(pit), groups)
    return figure


def nz_figure(columns: Columns, spikes: Spikes, n_catalogue: int, groups: str) -> Figure:
    """n(z) of the same galaxies, and the fine structure of n(z_phot) of the whole catalogue."""
    z, z_phot = _finite(columns)
    figure = new_figure(7.4, 3.4)
    left, right = figure.subplots(1, 2)
    top = float(np.quantile(np.concatenate([z, z_phot]), 0.999)) if len(z) else 1.0
    edges = np.linspace(0, top * 1.05, 46)
    left.hist(z, edges, color=PALE, label=f"spectroscopic, mean {np.mean(z):.4f}")
    left.hist(
        z_phot,
        edges,
        histtype="step",
        color=BLUE,
        lw=1.4,
        label=f"photometric, mean {np.mean(z_phot):.4f}",
    )
    left.set(xlim=(0, edges[-1]), xlabel="redshift", ylabel="galaxies", title="the same galaxies")
    left.set_ylim(0, left.get_ylim()[1] * 1.25)
    left.legend(loc="upper right")
    number(left, len(z), groups)
    band = 2 * spikes.noise_K
    right.fill_between(spikes.centre_K, -band, band, color=ORANGE, alpha=0.35, lw=0, step="mid")
    right.step(spikes.centre_K, spikes.excess_K, where="mid", color=BLUE, lw=1.1)
    at, excess, significance = spikes.worst
    if significance > 5:
        right.annotate(
            f"z = {at:.3f}\n{significance:.0f} sigma",
            (at, excess),
            xytext=(8, -4),
            textcoords="offset points",
            va="top",
            color=RED,
        )
    if np.isnan(significance):
        right.text(
            0.5, 0.6, "too few galaxies to tell", transform=right.transAxes, ha="center", color=GREY
        )
    zero_line(right)
    right.set(
        xlabel=r"$z_{\rm phot}$",
        ylabel=r"excess over neighbouring bins",
        title="fine structure (band: 2 sigma)",
    )
    right.set_xlim(0, top * 1.05)
    shown = spikes.excess_K[(spikes.centre_K < top * 1.05) & (spikes.noise_K < 0.25)]
    span = 1.2 * float(np.nanmax(np.abs(shown), initial=0.2))
    right.set_ylim(-span, span)
    number(right, n_catalogue)
    return figure


def tomography_figure(nz: Tomography, groups: str) -> Figure:
    """Predicted n(z) of each bin as a line, that of the spectra as steps."""
    figure = new_figure(5.8, 3.2)
    axes = figure.subplots()
    spectra_BK, wide_G = coarse(nz.spectroscopic_BK, nz.grid_G, DRAWN_CELLS)
    centre_K = (nz.grid_G[:-1] + nz.grid_G[1:]) / 2
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(nz.bins)))
    for k, (part, colour) in enumerate(zip(nz.bins, colours, strict=True)):
        label = f"{part.label}: {part.sources:,} sources, {part.galaxies:,} spectra"
        axes.plot(centre_K, nz.predicted_BK[k], color=colour, lw=1.4, label=label)
        if part.galaxies >= FEWEST:
            axes.stairs(spectra_BK[k], wide_G, color=colour, lw=0.9, alpha=0.8)
    reached = np.flatnonzero(nz.predicted_BK.max(axis=0) > 0.002 * nz.predicted_BK.max())
    top = nz.grid_G[reached[-1] + 1] if len(reached) else nz.grid_G[-1]
    axes.set(xlim=(0, top), xlabel="redshift", ylabel="n(z), normalised")
    axes.set_ylim(0, 1.45 * axes.get_ylim()[1])
    axes.legend(loc="upper right", fontsize=7)
    number(axes, sum(part.sources for part in nz.bins), groups)
    return figure


def _finite(columns: Columns) -> tuple[Floats, Floats]:
    """Spec-z and photo-z of the pairs that have both."""
    z, z_phot = columns["Z_SPEC"].astype(np.float64), columns["Z_PHOT"].astype(np.float64)
    rows = np.isfinite(z) & np.isfinite(z_phot)
    return z[rows], z_phot[rows]
