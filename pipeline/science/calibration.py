"""Quality of predicted distributions given by quantiles: PIT, its uniformity, CDE loss, pinball loss.

A distribution is the piecewise constant density between its quantiles; beyond the outermost ones the density
continues and falls off exponentially, with the probability that is left there. So it is known everywhere and
integrates to 1 in closed form.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pipeline.science.statistics import Floats, mean

MIN_WIDTH = 1e-5
"""Quantiles closer than this in redshift count as this far apart: a density must stay finite."""


@dataclass(frozen=True)
class Uniformity:
    """Distance of PIT values from a uniform distribution: Kolmogorov-Smirnov and Cramer-von Mises."""

    ks: float
    ks_p: float
    cvm: float
    cvm_p: float


def pit(z_spec_N: ArrayLike, quantiles_NQ: ArrayLike, levels_Q: ArrayLike) -> Floats:
    """Probability integral transform: predicted cumulative probability at the true redshift; NaN if missing."""
    z, q_NQ, level_Q, density_NK = _prepare(z_spec_N, quantiles_NQ, levels_Q)
    cell, rows = _cell(z, q_NQ)
    with np.errstate(over="ignore", invalid="ignore"):
        left = level_Q[0] * np.exp(-density_NK[:, 0] / level_Q[0] * (q_NQ[:, 0] - z))
        right = 1 - (1 - level_Q[-1]) * np.exp(-density_NK[:, -1] / (1 - level_Q[-1]) * (z - q_NQ[:, -1]))
    inner = level_Q[cell] + density_NK[rows, cell] * (z - q_NQ[rows, cell])
    value = np.where(z < q_NQ[:, 0], left, np.where(z > q_NQ[:, -1], right, inner))
    return np.where(np.isnan(z), np.nan, value)


def cde_loss(z_spec_N: ArrayLike, quantiles_NQ: ArrayLike, levels_Q: ArrayLike) -> float:
    """Conditional density loss, ``mean(integral of f(z)^2 dz - 2 f(z_spec))`` (Izbicki & Lee 2017)."""
    z, q_NQ, level_Q, density_NK = _prepare(z_spec_N, quantiles_NQ, levels_Q)
    square = (
        (density_NK**2 * np.diff(q_NQ, axis=1)).sum(axis=1)
        + level_Q[0] * density_NK[:, 0] / 2
        + (1 - level_Q[-1]) * density_NK[:, -1] / 2
    )
    cell, rows = _cell(z, q_NQ)
    with np.errstate(over="ignore", invalid="ignore"):
        below = density_NK[:, 0] * np.exp(-density_NK[:, 0] / level_Q[0] * (q_NQ[:, 0] - z))
        above = density_NK[:, -1] * np.exp(-density_NK[:, -1] / (1 - level_Q[-1]) * (z - q_NQ[:, -1]))
    at_z = np.where(z < q_NQ[:, 0], below, np.where(z > q_NQ[:, -1], above, density_NK[rows, cell]))
    return float(mean(np.where(np.isnan(z), np.nan, square - 2 * at_z)))


def pinball_loss(z_spec_N: ArrayLike, quantiles_NQ: ArrayLike, levels_Q: ArrayLike) -> float:
    """Mean over objects and levels t of ``max(t (z - q_t), (t - 1) (z - q_t))`` (Koenker & Bassett 1978)."""
    error_NQ = np.asarray(z_spec_N, np.float64)[:, None] - np.asarray(quantiles_NQ, np.float64)
    level_Q = np.asarray(levels_Q, np.float64)
    return float(mean(np.maximum(level_Q * error_NQ, (level_Q - 1) * error_NQ).mean(axis=1)))


def uniformity(pit_N: ArrayLike) -> Uniformity:
    """Kolmogorov-Smirnov and Cramer-von Mises tests of PIT values against a uniform distribution."""
    values = np.asarray(pit_N, np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Uniformity(np.nan, np.nan, np.nan, np.nan)
    ks, cvm = stats.kstest(values, "uniform"), stats.cramervonmises(values, "uniform")
    return Uniformity(float(ks.statistic), float(ks.pvalue), float(cvm.statistic), float(cvm.pvalue))


def _prepare(
    z_spec_N: ArrayLike, quantiles_NQ: ArrayLike, levels_Q: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats]:
    """Redshifts (NaN where anything is missing), quantiles pulled apart, levels, densities of the cells."""
    q_NQ, level_Q = np.array(quantiles_NQ, np.float64), np.asarray(levels_Q, np.float64)
    z = np.where(np.isfinite(q_NQ).all(axis=1), np.asarray(z_spec_N, np.float64), np.nan)
    steps = np.maximum(np.diff(q_NQ, axis=1), MIN_WIDTH)
    q_NQ[:, 1:] = q_NQ[:, :1] + np.cumsum(steps, axis=1)
    return z, q_NQ, level_Q, np.diff(level_Q) / steps


def _cell(z_N: Floats, q_NQ: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the interval between quantiles that holds each redshift; also the row numbers."""
    with np.errstate(invalid="ignore"):
        cell = np.clip((q_NQ <= z_N[:, None]).sum(axis=1) - 1, 0, q_NQ.shape[1] - 2)
    return cell, np.arange(len(z_N))
