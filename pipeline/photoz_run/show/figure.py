"""A galaxy as a figure: stamps, magnitudes, distribution, and what its redshift hangs on."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import NullLocator

from photoz_models.whole_files import written_whole
from photoz_run.errors import writing
from photoz_run.science.intervals import density_polygon
from photoz_run.science.photometry import EFFECTIVE_MICRONS
from photoz_run.show.holdings import Holdings
from photoz_run.show.sights import Galaxy, Sight
from photoz_run.show.words import (
    banner,
    change,
    domain_words,
    flag_words,
    intervals,
    place,
    redshift,
    spec_words,
)
from photoz_run.validation.figures.style import BLUE, GREY, INK, ORANGE, RED, new_figure, style

LINE = 150
"""Characters that fit beside each other below the redshift."""
STAMP = 36
"""Pixels of the stamps shown: 7.2 arcsec."""


def write_figures(sights: Sequence[Sight], holdings: Holdings, out: Path) -> None:
    """Write a figure of each galaxy: one as PNG or PDF, several as pages of a PDF.

    Raises
    ------
    OutputError
        If the disk refuses.
    """
    galaxies = [sight.galaxy for sight in sights if sight.galaxy is not None]
    with style(), writing(out), written_whole(out) as beside:
        if out.suffix == ".png":
            figure = draw(galaxies[0], holdings)
            figure.set_dpi(150)
            # Without savefig, which would lay it out once more.
            FigureCanvasAgg(figure).print_png(beside)  # type: ignore[no-untyped-call]
            return
        # With all that embeds fonts, which a PNG need not wait for.
        from matplotlib.backends.backend_pdf import PdfPages

        with PdfPages(beside) as pages:
            for galaxy in galaxies:
                pages.savefig(draw(galaxy, holdings))


def draw(galaxy: Galaxy, holdings: Holdings) -> Figure:
    """One galaxy on 11 by 6.6 inches."""
    lines = _lines(galaxy)
    figure = new_figure(11, 5.7 + 0.2 * len(lines))
    figure.set_layout_engine("none")
    head = (1.0 + 0.2 * len(lines)) / figure.get_figheight()
    _write_head(figure, galaxy, lines)
    top, bottom = 1 - head, 0.72 / figure.get_figheight()
    grid = GridSpec(
        2,
        30,
        figure=figure,
        left=0.055,
        right=0.985,
        top=top,
        bottom=bottom,
        height_ratios=(1.0, 1.05),
        hspace=0.22,
        wspace=0.0,
    )
    for k in range(5):
        _stamp(figure.add_subplot(grid[0, 6 * k : 6 * k + 6]), galaxy, k)
    _magnitudes(figure.add_subplot(grid[1, :9]), galaxy)
    _distribution(figure.add_subplot(grid[1, 11:20]), galaxy)
    _without(figure.add_subplot(grid[1, 23:]), galaxy)
    figure.text(0.02, 0.012, banner(holdings), color=GREY, fontsize=7.5)
    return figure


def _write_head(figure: Figure, galaxy: Galaxy, lines: Sequence[tuple[str, str]]) -> None:
    """ID, redshift, and what is to be said of it, in lines of 0.2 inches."""
    inch = 1 / figure.get_figheight()
    heading = f"{galaxy.row['ID']}  {place(galaxy)}"
    figure.text(0.02, 1 - 0.28 * inch, heading, fontsize=11, color=INK, weight="bold")
    z = redshift(galaxy.number("Z_PHOT"))
    figure.text(0.02, 1 - 0.62 * inch, z, fontsize=15, color=BLUE, weight="bold")
    figure.text(0.17, 1 - 0.61 * inch, intervals(galaxy, "     "), fontsize=10)
    for k, (words, colour) in enumerate(lines):
        figure.text(0.02, 1 - (0.88 + 0.2 * k) * inch, words, fontsize=8.5, color=colour)


def _lines(galaxy: Galaxy) -> list[tuple[str, str]]:
    """What stands below the redshift, with its colour."""
    facts = {"spec-z": spec_words(galaxy), "domain distance": domain_words(galaxy)}
    lines = [(f"{name} {words}", INK) for name, words in facts.items() if words]
    lines += [(words, RED) for words in (*flag_words(galaxy), *galaxy.notes)]
    return [(part, colour) for words, colour in lines for part in wrap(words, LINE)]


def _stamp(axes: Axes, galaxy: Galaxy, k: int) -> None:
    """The stamp of a band, or the colour image after them."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    picture = galaxy.picture
    if picture is None:
        words = "no stamps at hand" if k == 2 else ""
        axes.text(0.5, 0.5, words, color=GREY, ha="center", transform=axes.transAxes)
        return
    if k < len(picture.bands):
        covered = picture.covered_CHW[k].any()
        axes.imshow(picture.grey(k, STAMP), interpolation="nearest")
        title = f'{picture.bands[k]}   7.2"' if covered else f"no {picture.bands[k]} coadd"
        if picture.unusable_CHW[k].any():
            axes.set_title("orange: not used", loc="right", color=ORANGE, fontsize=7.5)
        axes.set_title(title, fontsize=9)
    elif (colour := picture.colour()) is not None:
        axes.imshow(colour, interpolation="nearest")
        axes.set_title('g r i   12"', fontsize=9)


def _magnitudes(axes: Axes, galaxy: Galaxy) -> None:
    axes.set_title("GAaP magnitudes (AB)")
    if not galaxy.magnitudes:
        _nothing(axes, "none at hand")
        return
    bands = list(galaxy.magnitudes)
    micron = [EFFECTIVE_MICRONS[band] for band in bands]
    values = [galaxy.magnitudes[band].value for band in bands]
    errors = np.nan_to_num([galaxy.magnitudes[band].error for band in bands])
    axes.plot(micron, values, color=GREY, lw=0.7, zorder=1)
    axes.errorbar(micron, values, errors, fmt="o", ms=4, color=BLUE, lw=1)
    axes.set_xscale("log")
    axes.set_xticks(micron, bands)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(0.06, 0.12)
    axes.invert_yaxis()


def _distribution(axes: Axes, galaxy: Galaxy) -> None:
    axes.set_title("redshift distribution")
    if not galaxy.quantiles_Q or np.isnan(galaxy.number("Z_PHOT")):
        _nothing(axes, "none at hand")
        return
    axes.set(xlabel="redshift", yticks=[])
    axes.spines["left"].set_visible(False)
    z_K, density_K = density_polygon(np.array(galaxy.levels_Q), np.array(galaxy.quantiles_Q))
    low, high = galaxy.number("Z_PHOT_LO68"), galaxy.number("Z_PHOT_HI68")
    fine = np.union1d(z_K, [low, high])
    curve = np.interp(fine, z_K, density_K)
    axes.fill_between(fine, curve, color=BLUE, alpha=0.18, lw=0)
    within = (fine >= low) & (fine <= high)
    axes.fill_between(fine, curve, where=within.tolist(), color=BLUE, alpha=0.3, lw=0)
    axes.plot(z_K, density_K, color=BLUE, lw=1)
    axes.axvline(galaxy.number("Z_PHOT"), color=BLUE, lw=1.4, label="point estimate")
    if np.isfinite(galaxy.z_spec):
        axes.axvline(galaxy.z_spec, color=RED, lw=1.4, ls="--", label="spec-z")
        axes.legend(loc="upper right", handlelength=1.2)
    axes.set_ylim(0, 1.15 * density_K.max())


def _nothing(axes: Axes, words: str) -> None:
    """A panel of which only the title and some words are left."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.text(0.0, 0.9, words, color=GREY, transform=axes.transAxes)


def _without(axes: Axes, galaxy: Galaxy) -> None:
    """The redshift without each input, beside the 68% interval with all of them."""
    axes.set_title("redshift without")
    if not galaxy.without:
        _nothing(axes, "not measured")
        return
    axes.set(xlabel="redshift")
    low, high = galaxy.number("Z_PHOT_LO68"), galaxy.number("Z_PHOT_HI68")
    axes.axvspan(low, high, color=BLUE, alpha=0.13, lw=0)
    axes.axvline(galaxy.number("Z_PHOT"), color=BLUE, lw=1)
    for k, one in enumerate(galaxy.without):
        colour = RED if change(galaxy, one)[1] else INK
        axes.plot([one.low68, one.high68], [k, k], color=colour, lw=1)
        axes.plot(one.z, k, "o", color=colour, ms=4)
    axes.set_yticks(range(len(galaxy.without)), [one.name for one in galaxy.without])
    axes.invert_yaxis()
