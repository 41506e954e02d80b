"""The two curves of a galaxy as SVG: its distribution, and its spectral energy distribution."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

import numpy as np
from matplotlib.ticker import MaxNLocator

from photoz_run.science.intervals import density_polygon
from photoz_run.science.photometry import EFFECTIVE_MICRONS
from photoz_run.show.sights import Galaxy

WIDTH, HEIGHT = 290, 150
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 8, 30
MICRONS = (0.32, 2.4)


@dataclass(frozen=True)
class Axes:
    """A frame of `WIDTH` by `HEIGHT` with ranges in x and y; y grows upwards unless turned."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point, in units of the picture."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            round(LEFT + across * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1),
        )

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        """Points as the data of a path."""
        return "M" + "L".join("{} {}".format(*self.at(x, y)) for x, y in points)

    def vertical(self, x: float, kind: str) -> str:
        """A line from bottom to top."""
        ends = [(x, self.y[0]), (x, self.y[1])]
        return f'<path class="{kind}" d="{self.path(ends)}"/>'

    def frame(self, label: str, marks: Iterable[tuple[float, str]]) -> list[str]:
        """The axis below with its marks and its label."""
        base = HEIGHT - BOTTOM
        parts = [f'<path class="axis" d="M{LEFT} {base}H{WIDTH - RIGHT}"/>']
        parts += [_text(self.at(x, 0)[0], base + 12, "mark", words) for x, words in marks]
        middle = (LEFT + WIDTH - RIGHT) / 2
        return [*parts, _text(middle, HEIGHT - 3, "label", label)]


def distribution_svg(galaxy: Galaxy) -> str:
    """The density of the redshift, its 68% interval, the point estimate and the spec-z."""
    if not galaxy.quantiles_Q:
        return ""
    z_K, density_K = density_polygon(np.array(galaxy.levels_Q), np.array(galaxy.quantiles_Q))
    density_K = density_K / density_K.max()
    known = [value for value in (z_K[0], z_K[-1], galaxy.z_spec) if np.isfinite(value)]
    margin = 0.04 * (max(known) - min(known))
    axes = Axes((min(known) - margin, max(known) + margin), (0.0, 1.08))
    low, high = galaxy.number("Z_PHOT_LO68"), galaxy.number("Z_PHOT_HI68")
    parts = axes.frame("redshift", [(z, f"{z:g}") for z in ticks(axes.x)])
    parts.append(f'<path class="all" d="{axes.path(zip(z_K, density_K, strict=True))}Z"/>')
    if np.isfinite(low + high):
        within = np.unique([low, *z_K[(z_K > low) & (z_K < high)], high])
        shape = zip(within, np.interp(within, z_K, density_K), strict=True)
        d = axes.path([(low, 0.0), *shape, (high, 0.0)])
        parts.append(f'<path class="central" d="{d}Z"/>')
    if np.isfinite(galaxy.number("Z_PHOT")):
        parts.append(axes.vertical(galaxy.number("Z_PHOT"), "phot"))
    if np.isfinite(galaxy.z_spec):
        parts.append(axes.vertical(galaxy.z_spec, "spec"))
    return _svg("redshift distribution", parts)


def sed_svg(galaxy: Galaxy) -> str:
    """The magnitudes against wavelength, brighter ones higher."""
    if not galaxy.magnitudes:
        return ""
    values = [one.value for one in galaxy.magnitudes.values()]
    margin = max(0.12 * (max(values) - min(values)), 0.15)
    faint, bright = max(values) + margin, min(values) - margin
    log_range = float(np.log10(MICRONS[0])), float(np.log10(MICRONS[1]))
    axes = Axes(log_range, (faint, bright))
    place = {band: float(np.log10(EFFECTIVE_MICRONS[band])) for band in galaxy.magnitudes}
    parts = axes.frame("GAaP magnitude (AB) by band", [(x, band) for band, x in place.items()])
    for value in ticks((bright, faint)):
        x, y = axes.at(log_range[0], value)
        parts.append(f'<path class="grid" d="M{x} {y}H{WIDTH - RIGHT}"/>')
        parts.append(_text(x - 4, y + 3, "tick", f"{value:g}"))
    line = [(place[band], one.value) for band, one in galaxy.magnitudes.items()]
    parts.append(f'<path class="line" d="{axes.path(line)}"/>')
    for band, one in galaxy.magnitudes.items():
        x, y = axes.at(place[band], one.value)
        if np.isfinite(one.error):
            ends = [(place[band], one.value + sign * one.error) for sign in (-1, 1)]
            parts.append(f'<path class="error" d="{axes.path(ends)}"/>')
        parts.append(f'<circle cx="{x}" cy="{y}" r="2.6"/>')
    return _svg("spectral energy distribution", parts)


def ticks(ends: tuple[float, float]) -> list[float]:
    """A few round numbers between two ends."""
    low, high = sorted(ends)
    values = MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [round(float(value), 6) for value in values if low <= value <= high]


def _text(x: float, y: float, kind: str, words: str) -> str:
    return f'<text class="{kind}" x="{round(x, 1)}" y="{round(y, 1)}">{escape(words)}</text>'


def _svg(title: str, parts: Iterable[str]) -> str:
    inside = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{inside}</svg>'
