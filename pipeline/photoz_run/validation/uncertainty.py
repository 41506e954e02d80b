"""Whether quoted errors and predicted distributions describe the scatter: for all, bin by bin."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run.science import calibration
from photoz_run.science.resampling import Resampling, errors_in
from photoz_run.science.statistics import (
    Floats,
    mean,
    median,
    residual,
    smad,
)
from photoz_run.validation.breakdowns import (
    CONTINUOUS,
    Bin,
    categories,
    colour_class,
    number_bins,
    value_bins,
)
from photoz_run.validation.catalogue import QUANTILES, take
from photoz_run.validation.metrics import Estimate
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

BEYOND = 3.0
"""Quoted errors beyond which a pull should hardly lie."""

STATISTICS = {
    "coverage_68": "inside the central 68%",
    "coverage_95": "inside the central 95%",
    "calibration_error": "calibration error",
    "crps": "CRPS",
    "cde_loss": "CDE loss",
    "pinball_loss": "pinball loss",
    "pull_median": "median pull",
    "pull_smad": "SMAD of pull",
    "pull_beyond_3": "fraction |pull| > 3",
}
"""What is measured of each set of galaxies, with its words; a pull is dz / Z_PHOT_ERR."""


@dataclass(frozen=True)
class Quality:
    """Quality of the distributions and errors of one set of galaxies."""

    breakdown: str
    label: str
    n: int
    estimates: dict[str, Estimate]
    uniformity: calibration.Uniformity
    centre: float = float("nan")
    low_edge: float = float("nan")
    high_edge: float = float("nan")


@dataclass(frozen=True)
class Distribution:
    """Quality of the predicted distributions; ``source`` says from which quantiles."""

    source: str
    n: int
    pit_N: Floats = field(repr=False)
    overall: Quality
    bins: dict[str, tuple[Quality, ...]]

    @property
    def uniformity(self) -> calibration.Uniformity:
        """Of the PIT values of all."""
        return self.overall.uniformity


@dataclass(frozen=True)
class _Terms:
    """What each galaxy adds to the statistics, NaN if missing."""

    pit_N: Floats
    mean_terms: dict[str, Floats]
    pull_N: Floats

    def of(self, rows: NDArray[Any]) -> "_Terms":
        """Those of some of the galaxies."""
        terms = {name: values[rows] for name, values in self.mean_terms.items()}
        return _Terms(self.pit_N[rows], terms, self.pull_N[rows])


def distribution(
    columns: Columns,
    levels_Q: Floats,
    settings: ValidationSettings,
    resampling: Resampling,
    again: Remeasured | None = None,
) -> Distribution | None:
    """Judge the predicted distributions, from quantiles or else from five points.

    Quantiles are those of the catalogue, or those measured again. The five points are the ends of
    the 68% and 95% intervals, and Z_PHOT for the median; they are an approximation, and named as
    such. Of very many pairs only every k-th is used. Means are weighted and have bootstrap
    intervals; ``resampling`` says which pairs share errors. The tests of PIT count every pair
    alike, and have p-values instead.

    Returns
    -------
    None if the catalogue has neither quantiles nor intervals.
    """
    chosen = quantiles_of(columns, levels_Q, again)
    if chosen is None:
        return None
    source, row_K, quantiles_KQ, levels_Q = chosen
    here = take(columns, row_K)
    terms = _terms(here, quantiles_KQ, levels_Q)
    weights = [here[settings.weight].astype(np.float64)] if settings.weight else []
    bins = {name: parts for name, parts in _bins(here, settings) if not isinstance(parts, str)}
    measured = {
        name: tuple(_quality(name, part, terms, weights) for part in parts)
        for name, parts in bins.items()
    }
    everything = Bin("all", np.arange(len(row_K)))
    return Distribution(
        source=source,
        n=int(np.isfinite(terms.pit_N).sum()),
        pit_N=terms.pit_N,
        overall=_quality("all", everything, terms, weights, resampling.of(row_K)),
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


def _terms(columns: Columns, quantiles_NQ: Floats, levels_Q: Floats) -> _Terms:
    z_N = columns["Z_SPEC"].astype(np.float64)
    pit_N = calibration.pit(z_N, quantiles_NQ, levels_Q)
    missing_N = np.isnan(pit_N)
    off_N = np.abs(pit_N - 0.5)
    inside = {
        f"coverage_{percent}": np.where(missing_N, np.nan, off_N <= percent / 200)
        for percent in (68, 95)
    }
    pull_N = np.full(len(z_N), np.nan)
    if "Z_PHOT_ERR" in columns:
        error_N = columns["Z_PHOT_ERR"].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            pull_N = residual(columns["Z_PHOT"], z_N) / np.where(error_N > 0, error_N, np.nan)
    return _Terms(
        pit_N,
        {
            **inside,
            "crps": calibration.crps_terms(z_N, quantiles_NQ, levels_Q),
            "cde_loss": calibration.cde_loss_terms(z_N, quantiles_NQ, levels_Q),
            "pinball_loss": calibration.pinball_loss_terms(z_N, quantiles_NQ, levels_Q),
            "pull_beyond_3": np.where(np.isnan(pull_N), np.nan, np.abs(pull_N) > BEYOND),
        },
        pull_N,
    )


def _quality(
    name: str,
    part: Bin,
    terms: _Terms,
    weights: Sequence[Floats],
    resampling: Resampling | None = None,
) -> Quality:
    """The figures of one set; means have intervals if groups are drawn, else shares have."""
    here = terms.of(part.rows)
    weight = weights[0][part.rows] if weights else None
    estimates = {}
    for key, term_N in here.mean_terms.items():
        value = float(mean(term_N, weight))
        estimates[key] = Estimate(value)
        if resampling is not None:
            errors = errors_in(resampling, [term_N], weight_N=weight)
            estimates[key] = Estimate(value, errors.low, errors.high)
        elif key.startswith("coverage"):
            estimates[key] = _share(value, int(np.isfinite(term_N).sum()))
    estimates["pull_median"] = Estimate(float(median(here.pull_N, weight)))
    estimates["pull_smad"] = Estimate(float(smad(here.pull_N, weight)))
    estimates["calibration_error"] = Estimate(calibration.calibration_error(here.pit_N))
    ordered = {key: estimates[key] for key in STATISTICS if np.isfinite(estimates[key].value)}
    n = int(np.isfinite(here.pit_N).sum())
    edges = (part.centre, part.low_edge, part.high_edge)
    test = calibration.uniformity if resampling is not None else calibration.ks_uniformity
    return Quality(name, part.label, n, ordered, test(here.pit_N), *edges)


def _share(value: float, n: int) -> Estimate:
    """A share with its binomial error."""
    error = np.sqrt(max(value * (1 - value), 1 / n) / n) if n else np.nan
    return Estimate(value, value - error, value + error)


def _bins(
    columns: Columns, settings: ValidationSettings
) -> Iterator[tuple[str, Sequence[Bin] | str]]:
    """Magnitude, redshifts, colour class and tile, where the columns allow."""
    for name in ("r", "z_phot", "z_spec"):
        column, edges = CONTINUOUS[name], settings.edges.get(name)
        yield name, number_bins(columns, column, settings.bins, edges)
    red = colour_class(columns, settings.red)
    yield "colour", red if isinstance(red, str) else categories({"red": red, "blue": ~red})
    if "KIDS_TILE" in columns:
        yield "tile", value_bins(columns["KIDS_TILE"])
