"""Whether errors and predicted distributions describe the scatter: figures of sets of galaxies."""

from dataclasses import dataclass, field, replace

import numpy as np

from photoz_run.science import calibration
from photoz_run.science.cells import CELLS, cells_for, cumulated
from photoz_run.science.representative import effective_number
from photoz_run.science.resampling import Codes, Part, Resampling, Rows, Spread, errors_in
from photoz_run.science.statistics import Floats, mean, median, residual, smad
from photoz_run.validation.breakdowns import Bin
from photoz_run.validation.metrics import Estimate, Sample, errors_of, estimate
from photoz_run.validation.tables import Columns

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
    weighted: dict[str, Estimate] = field(default_factory=dict)
    """The same figures, weighted to the whole catalogue; empty where that cannot be had."""
    effective: float = float("nan")
    """The effective number of galaxies, weighted."""


@dataclass(frozen=True)
class Terms:
    """What each galaxy adds to the figures, NaN if missing."""

    pit_N: Floats
    mean_terms: dict[str, Floats]
    pull_N: Floats
    resampling: Resampling
    """Which galaxies share errors."""
    weight_N: Floats | None
    like_N: Floats | None
    """Weights with which galaxies are like the whole catalogue; 0 where that is not known."""

    def of(self, rows: Rows) -> "Terms":
        """Those of some of the galaxies."""
        terms = {name: values[rows] for name, values in self.mean_terms.items()}
        weights = [None if part is None else part[rows] for part in (self.weight_N, self.like_N)]
        resampling = self.resampling.of(rows)
        return Terms(self.pit_N[rows], terms, self.pull_N[rows], resampling, *weights)

    def weighted(self) -> "Terms | None":
        """The galaxies that were compared with the catalogue, weighted to it; None without any."""
        if self.like_N is None:
            return None
        row_K = np.flatnonzero(self.like_N)
        here = self.of(row_K)
        like_K = self.like_N[row_K]
        both_K = like_K if here.weight_N is None else like_K * here.weight_N
        return replace(here, weight_N=both_K, like_N=None) if len(row_K) else None

    @property
    def number(self) -> float:
        """The effective number of galaxies with a distribution."""
        known_N = np.isfinite(self.pit_N)
        weight_N = known_N if self.weight_N is None else np.nan_to_num(self.weight_N[known_N])
        return effective_number(weight_N)


def terms_of(columns: Columns, quantiles_NQ: Floats, levels_Q: Floats, pairs: Sample) -> Terms:
    """What the ``pairs`` with these columns add, from quantiles of their distributions."""
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
    mean_terms = {
        **inside,
        "crps": calibration.crps_terms(z_N, quantiles_NQ, levels_Q),
        "cde_loss": calibration.cde_loss_terms(z_N, quantiles_NQ, levels_Q),
        "pinball_loss": calibration.pinball_loss_terms(z_N, quantiles_NQ, levels_Q),
        "pull_beyond_3": np.where(np.isnan(pull_N), np.nan, np.abs(pull_N) > BEYOND),
    }
    weights = (pairs.terms.weight_N, pairs.like_N)
    return Terms(pit_N, mean_terms, pull_N, pairs.resampling, *weights)


def quality(name: str, part: Bin, every: Terms) -> Quality:
    """The figures of one set, unweighted and weighted to the whole catalogue."""
    here = every.of(part.rows)
    weighted = here.weighted()
    figures = _of_tile if name == "tile" else _figures
    # A test with two kinds of distance takes ten times as long: it is kept for all galaxies.
    test = calibration.uniformity if name == "all" else calibration.ks_uniformity
    return Quality(
        breakdown=name,
        label=part.label,
        n=int(np.isfinite(here.pit_N).sum()),
        estimates=figures(here),
        uniformity=test(here.pit_N),
        centre=part.centre,
        low_edge=part.low_edge,
        high_edge=part.high_edge,
        weighted={} if weighted is None else figures(weighted),
        effective=np.nan if weighted is None else weighted.number,
    )


def _figures(terms: Terms) -> dict[str, Estimate]:
    """Every figure with its errors."""
    resampling = terms.resampling
    estimates = {}
    for key, term_N in terms.mean_terms.items():
        estimates[key] = errors_of(errors_in(resampling, [term_N], weight_N=terms.weight_N))
    values = _of_order(terms)
    for key, spread in (_spread_of_pit(terms) | _spreads_of_pull(terms)).items():
        estimates[key] = estimate(values[key], spread)
    return _in_order(estimates)


def _of_tile(terms: Terms) -> dict[str, Estimate]:
    """Every figure of a single tile: shares have a binomial error."""
    values = {key: float(mean(term, terms.weight_N)) for key, term in terms.mean_terms.items()}
    values |= _of_order(terms)
    estimates = {key: Estimate(value) for key, value in values.items()}
    n = terms.number
    for key in ("coverage_68", "coverage_95"):
        share = values[key]
        error = np.sqrt(max(share * (1 - share), 1 / n) / n) if n else np.nan
        estimates[key] = Estimate(share, share - error, share + error, error, 1)
    return _in_order(estimates)


def _of_order(terms: Terms) -> dict[str, float]:
    """The figures that are no means: they rest on the order of galaxies."""
    pull_N, weight_N = terms.pull_N, terms.weight_N
    return {
        "calibration_error": calibration.calibration_error(terms.pit_N, weight_N),
        "pull_median": float(median(pull_N, weight_N)),
        "pull_smad": float(smad(pull_N, weight_N)),
    }


def _in_order(estimates: dict[str, Estimate]) -> dict[str, Estimate]:
    """In the order of `STATISTICS`, without those that nothing tells."""
    return {key: estimates[key] for key in STATISTICS if np.isfinite(estimates[key].value)}


def _spread_of_pit(terms: Terms) -> dict[str, Spread]:
    """The spread of the calibration error, from counts between its levels."""
    levels = calibration.CALIBRATION_LEVELS
    cell_N = np.searchsorted(levels, np.nan_to_num(terms.pit_N))

    def statistics(_: Floats, count_RK: Floats) -> dict[str, Floats]:
        share_RL = cumulated(count_RK)[:, 1:-1]
        return {"calibration_error": np.mean(np.abs(share_RL - levels), axis=1)}

    part = _histogram(terms, terms.pit_N, cell_N, len(levels) + 1)
    return terms.resampling.spreads(statistics, terms.resampling.sums([part]))


def _spreads_of_pull(terms: Terms) -> dict[str, Spread]:
    """The spreads of median and SMAD of the pulls, from counts in cells."""
    cells = cells_for(terms.pull_N)
    cell_N = cells.of(np.nan_to_num(terms.pull_N))

    def statistics(_: Floats, count_RK: Floats) -> dict[str, Floats]:
        share_RK = cumulated(count_RK)
        centre_R = cells.quantile(share_RK, 0.5)
        return {"pull_median": centre_R, "pull_smad": cells.smad(share_RK)}

    part = _histogram(terms, terms.pull_N, cell_N, CELLS)
    return terms.resampling.spreads(statistics, terms.resampling.sums([part]))


def _histogram(terms: Terms, values_N: Floats, cell_N: Codes, cells: int) -> Part:
    """The weight of the galaxies with a value, in cells."""
    known_N = np.isfinite(values_N)
    weight_N = known_N if terms.weight_N is None else np.where(known_N, terms.weight_N, 0)
    weight_N = np.nan_to_num(np.maximum(weight_N, 0.0))
    return Part(slice(None), weight_N, [], cell_N, cells)
