"""Figures on the sky: scatter of each tile, and which sources no spectrum is like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from photoz_run.science.statistics import Floats
from photoz_run.validation.breakdowns import FEWEST, NORTH_OF
from photoz_run.validation.figures.style import GREY, INK, PALE, new_figure, number
from photoz_run.validation.grouping import text_codes
from photoz_run.validation.representative import LackingMap
from photoz_run.validation.result import Result
from photoz_run.validation.tables import Columns
from photoz_run.wording import counted

FEWEST_IN_CELL = 5
"""Sources of a cell below which its share is no colour."""


def sky_map(columns: Columns, result: Result) -> dict[str, Figure]:
    """SMAD of each tile at its place on the sky, one panel per hemisphere."""
    groups = {group.label: group for group in result.breakdowns.get("tile", ())}
    if not groups:
        return {}
    n_T = np.array([group.n for group in groups.values()])
    smad_T = np.array([group["smad"].value for group in groups.values()])
    smad_T[n_T < FEWEST] = np.nan
    finite = smad_T[np.isfinite(smad_T)]
    low, high = np.quantile(finite, [0.02, 0.98]) if len(finite) else (0.0, 1.0)
    # One tile, or tiles all alike, still need a scale.
    scale = Normalize(low - 0.02 * high, high * 1.02)
    places = places_of(columns, list(groups))
    return {"sky": _map_of_tiles(places, smad_T, n_T, scale, "SMAD")}


def lacking_maps(lacking: LackingMap) -> dict[str, Figure]:
    """The share of sources that no spectrum is like: by magnitude and tile, and on the sky."""
    figures = {}
    if lacking.magnitudes:
        figures["no_spectrum"] = _by_magnitude(lacking)
    if lacking.tiles:
        labels = [part.label for part in lacking.tiles]
        sources_T = np.array([part.sources for part in lacking.tiles])
        share_T = np.array([100 * part.share for part in lacking.tiles])
        share_T[sources_T < FEWEST] = np.nan
        places = places_of(lacking.sources, labels)
        top = max(1.0, float(np.nanmax(share_T, initial=0.0)))
        words = "no spectrum is like them (%)"
        figures["no_spectrum_sky"] = _map_of_tiles(
            places, share_T, sources_T, Normalize(0, top), words
        )
    return figures


def _by_magnitude(lacking: LackingMap) -> Figure:
    """The share in bins of magnitude above that of each tile in the same bins."""
    parts = lacking.magnitudes
    edges = np.array([*(part.low_edge for part in parts), parts[-1].high_edge])
    share = np.array([100 * part.share for part in parts])
    total = sum(part.sources for part in parts)
    figure = new_figure(5.8, 4.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.6])
    upper.stairs(share, edges, color=INK, lw=1.3)
    upper.set_ylim(0, max(1.0, 1.15 * float(share.max())))
    upper.set_ylabel("share (%)")
    number(upper, total, counted(len(lacking.tiles), "tile") if lacking.tiles else "")
    with np.errstate(invalid="ignore", divide="ignore"):
        share_TM = 100 * lacking.lacking_TM / lacking.sources_TM
    share_TM[lacking.sources_TM < FEWEST_IN_CELL] = np.nan
    if len(share_TM):
        # The tiles with most of such sources stand on top.
        order = np.argsort([part.share for part in lacking.tiles], kind="stable")
        tiles = np.arange(len(order) + 1)
        lower.set_facecolor(PALE)
        colours = lower.pcolormesh(
            edges, tiles, np.ma.masked_invalid(share_TM[order]), cmap="cividis", vmin=0
        )
        figure.colorbar(colours, ax=[upper, lower], label="no spectrum is like them (%)", pad=0.02)
        lower.set_ylabel("tiles, by their share")
        lower.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    words = f"grey: fewer than {FEWEST_IN_CELL} sources"
    lower.set_title(words, loc="right", color=GREY, fontsize=8)
    lower.set_xlabel("r magnitude")
    low = float(np.quantile(edges, 0.0))
    lower.set_xlim(max(low, float(edges[1]) - 2 * float(edges[2] - edges[1]) - 1), edges[-1])
    return figure


@dataclass(frozen=True)
class TilesOnSky:
    """Centres of the tiles (deg; RA of the south from -180 to 180) and the size of a tile (deg)."""

    ra_T: Floats
    dec_T: Floats
    size: float

    def is_strip(self, rows: NDArray[np.bool_]) -> bool:
        """Whether these tiles extend in RA more than twice as far as in Dec."""
        shrink = np.cos(np.radians(np.mean(self.dec_T[rows])))
        return bool(
            np.ptp(self.ra_T[rows]) * shrink + self.size
            > 2 * (np.ptp(self.dec_T[rows]) + self.size)
        )

    def draw(
        self, axes: Axes, rows: NDArray[np.bool_], value_T: Floats, scale: Normalize
    ) -> PatchCollection:
        """Draw the tiles of ``rows`` as squares coloured by a value, grey where there is none.

        RA grows to the left.
        """
        stretch = 1 / np.cos(np.radians(self.dec_T[rows]))
        width, height = self.size * stretch, self.size
        ra, dec = self.ra_T[rows], self.dec_T[rows]
        corners = np.column_stack([ra - width / 2, dec - height / 2]).tolist()
        squares = [
            Rectangle((x, y), wide, height)
            for (x, y), wide in zip(corners, width.tolist(), strict=True)
        ]
        axes.add_collection(PatchCollection(squares, facecolor=PALE, lw=0))
        coloured = PatchCollection(squares, cmap="cividis", norm=scale, lw=0)
        coloured.set_array(np.ma.masked_invalid(value_T[rows]))
        axes.add_collection(coloured)
        axes.set_xlim(np.max(ra + 2 * width), np.min(ra - 2 * width))
        axes.set_ylim(np.min(dec) - height, np.max(dec) + height)
        axes.set(xlabel="RA (deg)", ylabel="Dec (deg)")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_aspect(float(np.mean(stretch)))
        return coloured


def places_of(columns: Columns, labels: Sequence[str]) -> TilesOnSky:
    """Where the tiles ``labels`` lie, from the galaxies in them."""
    names, tile_N = text_codes(columns["KIDS_TILE"])
    n_T = np.bincount(tile_N)
    dec_T = np.bincount(tile_N, columns["DEC"]) / n_T
    # The mean of an angle: RA may jump from 360 to 0 within a tile.
    angle_N = np.radians(columns["RA"])
    sine_T = np.bincount(tile_N, np.sin(angle_N))
    cosine_T = np.bincount(tile_N, np.cos(angle_N))
    ra_T = np.degrees(np.arctan2(sine_T, cosine_T))
    ra_T = np.where((dec_T > NORTH_OF) & (ra_T < 0), ra_T + 360, ra_T)
    # Galaxies spread evenly over a square of size s have standard deviation s / sqrt(12).
    variance_T = np.bincount(tile_N, (columns["DEC"] - dec_T[tile_N]) ** 2) / n_T
    size = float(np.clip(np.sqrt(12) * np.median(np.sqrt(variance_T)), 0.02, 1.0))
    order = np.searchsorted(names, labels)
    return TilesOnSky(ra_T[order], dec_T[order], size)


def _map_of_tiles(
    places: TilesOnSky, value_T: Floats, n_T: NDArray[np.int64], scale: Normalize, words: str
) -> Figure:
    """A value of each tile at its place on the sky, one panel per hemisphere."""
    north = places.dec_T > NORTH_OF
    parts = [(name, rows) for name, rows in (("KiDS-N", north), ("KiDS-S", ~north)) if rows.any()]
    # Long strips of sky one above the other, compact fields side by side.
    lines = len(parts) if any(places.is_strip(rows) for _, rows in parts) else 1
    figure = new_figure(5.8, 1.9 * lines + 0.4 if lines > 1 else 2.4)
    panels = figure.subplots(lines, len(parts) // lines, squeeze=False).ravel()
    for panel, (name, rows) in zip(panels, parts, strict=True):
        squares = places.draw(panel, rows, value_T, scale)
        count = int(rows.sum())
        panel.set_title(f"{name}: {count} tile{'s' if count > 1 else ''}")
        number(panel, int(n_T[rows].sum()))
    extend = "both" if scale.vmin else "neither"
    figure.colorbar(squares, ax=list(panels), label=words, pad=0.02, extend=extend, shrink=0.85)
    return figure
