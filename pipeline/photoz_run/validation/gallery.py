"""The worst outliers: their colour stamps, cut from the tiles of the run, and their magnitudes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from photoz_models.stamp_rule import StampRule
from photoz_run.errors import PhotozError
from photoz_run.records import Sources, TileRef
from photoz_run.science.colour import colour_image
from photoz_run.science.photometry import EFFECTIVE_MICRONS
from photoz_run.science.statistics import Floats, normalised_residual
from photoz_run.survey.coadds import PixelPolicy, open_coadds
from photoz_run.survey.stamps import cut_batch
from photoz_run.validation.catalogue import take
from photoz_run.validation.figures.style import BLUE, GREY, PALE, new_figure
from photoz_run.validation.inputs import tiles_of_run
from photoz_run.validation.tables import Columns

COUNT = 12
ACROSS = 3
A_PICTURE = 6
"""Outliers in one picture: two of them stand side by side where a page is wide."""
STAMP = StampRule(
    image_bands=("i", "r", "g"),
    i_epoch="better",
    magnitude_bands=(),
    stamp_size=60,
    pixel_scale=0.2,
    dmag_applied=False,
    extinction_corrected=False,
)
"""Twelve arcsec on a side, as red, green and blue."""


@dataclass(frozen=True)
class Outlier:
    """One galaxy of the gallery; ``rgb_HW3`` is None where its tile's images are not at hand."""

    z_phot: float
    z_spec: float
    position: str
    magnitudes: Mapping[str, float]
    rgb_HW3: NDArray[np.uint8] | None


def worst(columns: Columns) -> dict[str, NDArray[np.generic]]:
    """The `COUNT` pairs with the largest |normdz|, the worst first."""
    size_N = np.abs(normalised_residual(columns["Z_PHOT"], columns["Z_SPEC"]))
    rows = np.flatnonzero(np.isfinite(size_N))
    order = np.argsort(-size_N[rows], kind="stable")
    return take(columns, rows[order[:COUNT]])


def gallery(columns: Columns, run: Path) -> dict[str, Figure]:
    """Draw the worst outliers; nothing if there are neither images nor magnitudes to show."""
    rows = worst(columns)
    stamps = read_stamps(rows, tiles_of_run(run))
    outliers = [_outlier(rows, k, stamp) for k, stamp in enumerate(stamps)]
    if not any(outlier.magnitudes or outlier.rgb_HW3 is not None for outlier in outliers):
        return {}
    parts = [outliers[start : start + A_PICTURE] for start in range(0, len(outliers), A_PICTURE)]
    return {f"outliers_{k}": draw(part) for k, part in enumerate(parts, start=1)}


def read_stamps(rows: Columns, tiles: Mapping[str, TileRef]) -> list[NDArray[np.uint8] | None]:
    """A colour image of each source; None where its tile has no images that can be read."""
    stamps: list[NDArray[np.uint8] | None] = [None] * len(rows["RA"])
    if "KIDS_TILE" not in rows:
        return stamps
    tile_N = rows["KIDS_TILE"].astype(str)
    for tile in np.unique(tile_N):
        if tile not in tiles:
            continue
        here = np.flatnonzero(tile_N == tile)
        for k, image in zip(here, _cut(tiles[tile], take(rows, here)), strict=True):
            stamps[k] = image
    return stamps


def _cut(ref: TileRef, rows: Columns) -> Sequence[NDArray[np.uint8] | None]:
    """Colour images of sources of one tile; all None if its coadds cannot be read."""
    n = len(rows["RA"])
    sources = Sources(
        id_N=np.full(n, ""),
        ra_N=rows["RA"].astype(np.float64),
        dec_N=rows["DEC"].astype(np.float64),
        magnitudes_NB=np.empty((n, 0), np.float32),
        extinction_NC=np.zeros((n, 3), np.float32),
        flags_N=np.zeros(n, np.int32),
    )
    policy = PixelPolicy(
        bad_bits=0, use_weights=False, missing_band="quarantine", missing_dmag="zero"
    )
    try:
        with open_coadds(ref, STAMP, policy) as coadds:
            flux_NCHW = cut_batch(coadds, sources, STAMP, policy).flux_NCHW
    except PhotozError:
        return [None] * n
    return [colour_image(flux_CHW) for flux_CHW in flux_NCHW]


def _outlier(rows: Columns, k: int, stamp: NDArray[np.uint8] | None) -> Outlier:
    """The galaxy in row ``k``, with those of its magnitudes that were measured."""
    magnitudes = {}
    for band in EFFECTIVE_MICRONS:
        name = f"MAG_GAAP_{band}"
        if name in rows and np.isfinite(rows[name][k]):
            magnitudes[band] = float(rows[name][k])
    return Outlier(
        z_phot=float(rows["Z_PHOT"][k]),
        z_spec=float(rows["Z_SPEC"][k]),
        position=f"{rows['RA'][k]:.4f} {rows['DEC'][k]:+.4f}",
        magnitudes=magnitudes,
        rgb_HW3=stamp,
    )


def draw(outliers: Sequence[Outlier]) -> Figure:
    """Three outliers a line, each with its stamp above its magnitudes if there are any."""
    lines = math.ceil(len(outliers) / ACROSS)
    with_magnitudes = any(outlier.magnitudes for outlier in outliers)
    heights = [2.05, 1.35] if with_magnitudes else [2.05]
    panels_down = len(heights) * lines
    figure = new_figure(5.8, sum(heights) * lines)
    axes = figure.subplots(panels_down, ACROSS, height_ratios=heights * lines, squeeze=False)
    for panel in axes.flat:
        panel.set_axis_off()
    for k, outlier in enumerate(outliers):
        line, column = divmod(k, ACROSS)
        top = len(heights) * line
        _stamp(axes[top, column], outlier)
        if outlier.magnitudes:
            _magnitudes(axes[top + 1, column], outlier.magnitudes)
    return figure


def _stamp(axes: Axes, outlier: Outlier) -> None:
    redshifts = f"$z_{{spec}}$ {outlier.z_spec:.3f}   $z_{{phot}}$ {outlier.z_phot:.3f}"
    axes.set_title(f"{redshifts}\n{outlier.position}", fontsize=7.5, loc="center")
    if outlier.rgb_HW3 is None:
        looks: dict[str, Any] = {"ha": "center", "color": GREY, "fontsize": 8}
        axes.text(0.5, 0.5, "no image at hand", transform=axes.transAxes, **looks)
        return
    size = outlier.rgb_HW3.shape[0]
    axes.imshow(outlier.rgb_HW3, origin="lower", interpolation="nearest")
    axes.plot([3, 3 + 2 / STAMP.pixel_scale], [3, 3], color="white", lw=1.5)
    axes.text(3, 5, '2"', color="white", fontsize=7)
    axes.set(xlim=(-0.5, size - 0.5), ylim=(-0.5, size - 0.5))


def _magnitudes(axes: Axes, magnitudes: Mapping[str, float]) -> None:
    axes.set_axis_on()
    wavelength = np.array([EFFECTIVE_MICRONS[band] for band in magnitudes])
    value: Floats = np.array(list(magnitudes.values()))
    axes.plot(wavelength, value, "o-", color=BLUE, ms=3, lw=0.8)
    above: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "color": GREY}
    for band, x, y in zip(magnitudes, wavelength, value, strict=True):
        # The two epochs of i lie on each other.
        if band != "i2" or "i1" not in magnitudes:
            axes.annotate(band.rstrip("12"), (x, y), (0, 4), fontsize=6, **above)
    axes.set_xscale("log")
    axes.set_xticks([0.4, 0.8, 1.6], ["0.4", "0.8", "1.6"])
    axes.minorticks_off()
    axes.set(xlim=(0.3, 2.6), ylim=(np.max(value) + 0.4, np.min(value) - 0.7))
    axes.tick_params(labelsize=6.5)
    axes.grid(color=PALE, lw=0.4)
    axes.set_xlabel("micron", fontsize=6.5, labelpad=1)
