"""Whether quoted errors and predicted distributions describe the scatter: for all, bin by bin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from photoz_run.science.calibration import Uniformity
from photoz_run.science.statistics import Floats
from photoz_run.validation.breakdowns import (
    CONTINUOUS,
    Bin,
    categories,
    colour_class,
    number_bins,
    value_bins,
)
from photoz_run.validation.catalogue import QUANTILES, take
from photoz_run.validation.metrics import Sample
from photoz_run.validation.quality import Quality, quality, terms_of
from photoz_run.validation.remeasured import Remeasured
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.tables import Columns

FIVE_POINTS = ("Z_PHOT_LO95", "Z_PHOT_LO68", "Z_PHOT", "Z_PHOT_HI68", "Z_PHOT_HI95")
FIVE_LEVELS = (0.025, 0.16, 0.5, 0.84, 0.975)
FIVE_POINTS_SOURCE = (
    "approximated from five points: ends of the 68% and 95% intervals, Z_PHOT as the median"
)

SAMPLE = 200_000
"""Pairs that suffice to judge the distributions: the error of a KS distance is 0.001 then."""


@dataclass(frozen=True)
class Distribution:
    """Quality of the predicted distributions; ``source`` says from which quantiles."""

    source: str
    n: int
    pit_N: Floats = field(repr=False)
    overall: Quality
    bins: dict[str, tuple[Quality, ...]]

    @property
    def uniformity(self) -> Uniformity:
        """Of the PIT values of all."""
        return self.overall.uniformity


def distribution(
    columns: Columns,
    levels_Q: Floats,
    settings: ValidationSettings,
    every: Sample,
    again: Remeasured | None = None,
) -> Distribution | None:
    """Judge the predicted distributions, from quantiles or else from five points.

    Quantiles are those of the catalogue, or those measured again. The five points are the ends of
    the 68% and 95% intervals, and Z_PHOT for the median; they are an approximation, and named as
    such. Of very many pairs only every k-th is used. ``every`` says which pairs share errors, and
    which are like the catalogue. The tests of PIT count every pair alike, and have p-values.

    Returns
    -------
    None if the catalogue has neither quantiles nor intervals.
    """
    chosen = quantiles_of(columns, levels_Q, again)
    if chosen is None:
        return None
    source, row_K, quantiles_KQ, levels_Q = chosen
    here = take(columns, row_K)
    terms = terms_of(here, quantiles_KQ, levels_Q, every.of(row_K))
    bins = {name: parts for name, parts in _bins(here, settings) if not isinstance(parts, str)}
    measured = {
        name: tuple(quality(name, part, terms) for part in parts) for name, parts in bins.items()
    }
    everything = Bin("all", np.arange(len(row_K)))
    return Distribution(
        source=source,
        n=int(np.isfinite(terms.pit_N).sum()),
        pit_N=terms.pit_N,
        overall=quality("all", everything, terms),
        bins=measured,
    )


def quantiles_of(
    columns: Columns, levels_Q: Floats, again: Remeasured | None
) -> tuple[str, NDArray[np.int64], Floats, Floats] | None:
    """Where quantiles come from, rows of the columns, their quantiles, the levels of these.

    None if there are neither quantiles nor intervals.
    """
    n = len(columns["Z_PHOT"])
    row_K = np.arange(0, n, max(1, n // SAMPLE))
    if QUANTILES in columns and len(levels_Q) == columns[QUANTILES].shape[-1] >= 2:
        source = f"from {len(levels_Q)} quantiles of {QUANTILES}"
        return source, row_K, columns[QUANTILES][row_K].astype(np.float64), levels_Q
    if again is not None:
        return f"from {again.words}", again.row_K, again.quantiles_KQ, again.levels_Q
    if not all(name in columns for name in FIVE_POINTS):
        return None
    points_KQ = np.column_stack([columns[name][row_K] for name in FIVE_POINTS])
    quantiles_KQ = np.sort(points_KQ.astype(np.float64), axis=1)
    return FIVE_POINTS_SOURCE, row_K, quantiles_KQ, np.array(FIVE_LEVELS)


def _bins(
    columns: Columns, settings: ValidationSettings
) -> Iterator[tuple[str, Sequence[Bin] | str]]:
    """Magnitude, redshifts, colour class and tile, where the columns allow."""
    for name in ("r", "z_phot", "z_spec"):
        column, edges = CONTINUOUS[name], settings.edges.get(name)
        yield name, number_bins(columns, column, settings.bins, edges)
    red = colour_class(columns, settings.red)
    yield "colour", red if isinstance(red, str) else categories([("red", red), ("blue", ~red)])
    if "KIDS_TILE" in columns:
        yield "tile", value_bins(columns["KIDS_TILE"])
