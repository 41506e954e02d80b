"""Quality of predicted distributions given by quantiles: PIT and its uniformity, two losses.

Between its quantiles a distribution is interpolated on the scale of a Gaussian: the normal score of
the cumulative probability is linear in redshift. Beyond the last quantile it goes on with the slope
of the outermost interval. So a Gaussian is recovered exactly from any of its quantiles, tails
included, and every distribution is known everywhere and integrates to 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from photoz_run.errors import BadDataError
from photoz_run.science.statistics import Floats, mean

MIN_WIDTH = 1e-5
"""Quantiles closer than this in redshift count as this far apart: a density must stay finite."""


CALIBRATION_LEVELS = np.linspace(0.05, 0.95, 19)
"""Levels at which observed and predicted shares are compared."""


@dataclass(frozen=True)
class Uniformity:
    """Distance of PIT values from uniform: Kolmogorov-Smirnov and Cramer-von Mises."""

    ks: float
    ks_p: float
    cvm: float = float("nan")
    cvm_p: float = float("nan")


def pit(z_spec_N: ArrayLike, quantiles_NQ: ArrayLike, levels_Q: ArrayLike) -> Floats:
    """Probability integral transform: the predicted cumulative probability at the true redshift.

    NaN where a value is missing.

    Parameters
    ----------
    quantiles_NQ
        Redshifts, not decreasing along Q.
    levels_Q
        Their probabilities, increasing, inside (0, 1), at least two.
    """
    score_N, _ = _score(z_spec_N, *_prepare(quantiles_NQ, levels_Q))
    return np.asarray(special.ndtr(score_N))


def cumulative(z_G: ArrayLike, quantiles_NQ: ArrayLike, levels_Q: ArrayLike) -> Floats:
    """The predicted cumulative probability of each distribution at redshifts, shape (N, G)."""
    grid = np.asarray(z_G, np.float64)
    q_NQ, score_Q, slope_NK = _prepare(quantiles_NQ, levels_Q)
    columns = [_score(np.full(len(q_NQ), z), q_NQ, score_Q, slope_NK)[0] for z in grid]
    return np.asarray(special.ndtr(np.column_stack(columns)))


def cde_loss(
    z_spec_N: ArrayLike,
    quantiles_NQ: ArrayLike,
    levels_Q: ArrayLike,
    weight_N: ArrayLike | None = None,
) -> float:
    """Conditional density loss, ``mean(integral of f(z)^2 dz - 2 f(z_spec))``.

    Izbicki & Lee (2017).
    """
    return float(mean(cde_loss_terms(z_spec_N, quantiles_NQ, levels_Q), weight_N))


def cde_loss_terms(z_spec_N: ArrayLike, quantiles_NQ: ArrayLike, levels_Q: ArrayLike) -> Floats:
    """What each object adds to the mean of `cde_loss`, shape (N,); NaN if missing."""
    q_NQ, score_Q, slope_NK = _prepare(quantiles_NQ, levels_Q)
    # Integrals of the squared normal density between scores; the slope scales them to redshift.
    ends = np.concatenate([[-np.inf], score_Q[1:-1], [np.inf]])
    square_K = np.diff(special.ndtr(np.sqrt(2) * ends)) / (2 * np.sqrt(np.pi))
    score_N, cell_N = _score(z_spec_N, q_NQ, score_Q, slope_NK)
    slope_N = slope_NK[np.arange(len(cell_N)), cell_N]
    density_N = slope_N * np.exp(-(score_N**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(slope_NK @ square_K - 2 * density_N)


def pinball_loss(
    z_spec_N: ArrayLike,
    quantiles_NQ: ArrayLike,
    levels_Q: ArrayLike,
    weight_N: ArrayLike | None = None,
) -> float:
    """Mean over objects and levels t of ``max(t (z - q_t), (t - 1) (z - q_t))``.

    Koenker & Bassett (1978).
    """
    return float(mean(pinball_loss_terms(z_spec_N, quantiles_NQ, levels_Q), weight_N))


def pinball_loss_terms(z_spec_N: ArrayLike, quantiles_NQ: ArrayLike, levels_Q: ArrayLike) -> Floats:
    """What each object adds to the mean of `pinball_loss`, shape (N,); NaN if missing."""
    z_N1 = np.asarray(z_spec_N, np.float64)[:, None]
    level_Q = np.asarray(levels_Q, np.float64)
    error_NQ = z_N1 - np.asarray(quantiles_NQ, np.float64)
    loss_NQ = np.maximum(level_Q * error_NQ, (level_Q - 1) * error_NQ)
    return np.asarray(loss_NQ.mean(axis=1))


def crps_terms(z_spec_N: ArrayLike, quantiles_NQ: ArrayLike, levels_Q: ArrayLike) -> Floats:
    """What each object adds to the mean of the CRPS, ``integral of (F(z) - [z >= z_spec])^2 dz``.

    Matheson & Winkler (1976). The integral is exact, in redshift: the primitive of the squared
    normal distribution is known, and the score is linear between quantiles.

    Returns
    -------
    Shape (N,); NaN if missing.
    """
    q_NQ, score_Q, slope_NK = _prepare(quantiles_NQ, levels_Q)
    score_N, cell_N = _score(z_spec_N, q_NQ, score_Q, slope_NK)
    low_K = np.concatenate([[-np.inf], score_Q[1:-1]])
    high_K = np.concatenate([score_Q[1:-1], [np.inf]])
    segment_K = np.arange(len(low_K))
    # Where each segment is divided by the true redshift: at an end, or within.
    divide_NK = np.where(segment_K < cell_N[:, None], high_K, low_K)
    divide_NK = np.where(segment_K == cell_N[:, None], score_N[:, None], divide_NK)
    below_NK = _squared_integral(divide_NK) - _squared_integral(low_K)
    above_NK = _squared_integral(-divide_NK) - _squared_integral(-high_K)
    return np.asarray(((below_NK + above_NK) / slope_NK).sum(axis=1))


def _squared_integral(score: Floats) -> Floats:
    """The integral of the squared normal distribution function up to a score; 0 at -inf."""
    finite = np.where(np.isneginf(score), 0, score)
    below = special.ndtr(finite)
    density = np.exp(-(finite**2) / 2) / np.sqrt(2 * np.pi)
    integral = finite * below**2 + 2 * density * below
    integral -= special.ndtr(np.sqrt(2) * finite) / np.sqrt(np.pi)
    return np.asarray(np.where(np.isneginf(score), 0, integral))


def calibration_error(pit_N: ArrayLike, weight_N: ArrayLike | None = None) -> float:
    """Mean of |observed - predicted| share below the levels 0.05, 0.1 ... 0.95; NaN for none.

    The expected calibration error of a regression (Kuleshov, Fenner & Ermon 2018).
    """
    values = np.asarray(pit_N, np.float64)
    weight = np.ones(len(values)) if weight_N is None else np.asarray(weight_N, np.float64)
    counts = np.isfinite(values) & (weight > 0)
    values, weight = values[counts], weight[counts]
    if not len(values):
        return float("nan")
    order = np.argsort(values)
    below = np.searchsorted(values[order], CALIBRATION_LEVELS, side="right")
    summed = np.concatenate([[0.0], np.cumsum(weight[order])])
    observed = summed[below] / summed[-1]
    return float(np.mean(np.abs(observed - CALIBRATION_LEVELS)))


def uniformity(pit_N: ArrayLike) -> Uniformity:
    """Kolmogorov-Smirnov and Cramer-von Mises tests of PIT values; NaN for fewer than two."""
    values = np.asarray(pit_N, np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Uniformity(np.nan, np.nan)
    ks = stats.kstest(values, "uniform")
    cvm = stats.cramervonmises(values, "uniform")
    return Uniformity(
        ks=float(ks.statistic),
        ks_p=float(ks.pvalue),
        cvm=float(cvm.statistic),
        cvm_p=float(cvm.pvalue),
    )


def ks_uniformity(pit_N: ArrayLike) -> Uniformity:
    """The Kolmogorov-Smirnov test alone, for very many sets; NaN for fewer than two values.

    The chance is the limit for many values with the correction of Stephens (1970, J. R. Statist.
    Soc. B 32, 115).
    """
    values = np.asarray(pit_N, np.float64)
    values = np.sort(values[np.isfinite(values)])
    n = len(values)
    if n < 2:
        return Uniformity(np.nan, np.nan)
    steps = np.arange(n + 1) / n
    ks = float(max(np.max(steps[1:] - values), np.max(values - steps[:-1])))
    return Uniformity(ks, float(special.kolmogorov((np.sqrt(n) + 0.12 + 0.11 / np.sqrt(n)) * ks)))


def _prepare(quantiles_NQ: ArrayLike, levels_Q: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Quantiles pulled apart, normal scores of the levels, slopes of the score in each interval."""
    q_NQ = np.array(quantiles_NQ, np.float64)
    level_Q = np.asarray(levels_Q, np.float64)
    increasing = len(level_Q) > 1 and np.all(np.diff(level_Q) > 0)
    good = increasing and level_Q[0] > 0 and level_Q[-1] < 1
    if not good or q_NQ.shape[1:] != level_Q.shape:
        raise BadDataError(
            f"quantile levels {level_Q.tolist()}: need two or more, increasing, inside (0, 1)"
        )
    steps = np.maximum(np.diff(q_NQ, axis=1), MIN_WIDTH)
    q_NQ[:, 1:] = q_NQ[:, :1] + np.cumsum(steps, axis=1)
    score_Q = special.ndtri(level_Q)
    return q_NQ, score_Q, np.diff(score_Q) / steps


def _score(
    z_spec_N: ArrayLike, q_NQ: Floats, score_Q: Floats, slope_NK: Floats
) -> tuple[Floats, NDArray[np.intp]]:
    """Normal score of each true redshift, and the interval between quantiles that holds it."""
    z_N = np.asarray(z_spec_N, np.float64)
    below_N = (q_NQ <= z_N[:, None]).sum(axis=1)
    cell_N = np.clip(below_N - 1, 0, slope_NK.shape[1] - 1)
    rows = np.arange(len(z_N))
    beyond_N = z_N - q_NQ[rows, cell_N]
    return score_Q[cell_N] + slope_NK[rows, cell_N] * beyond_N, cell_N
