"""Tomographic bins and their redshift distributions: assigned, stacked, histogrammed."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photoz_run.science.calibration import cumulative
from photoz_run.science.statistics import Floats

NOWHERE = -1
"""The bin of a galaxy that lies in none."""
CHUNK = 10_000
"""Galaxies whose distributions are in memory at once."""


@dataclass(frozen=True)
class Stack:
    """Moments of the distributions of galaxies, and the mean distribution of each bin.

    Moments are those of the distribution on the grid, NaN where quantiles are missing.
    """

    mean_N: Floats = field(repr=False)
    square_N: Floats = field(repr=False)
    """The mean of z^2."""
    density_BK: Floats
    """Integrates to 1 over the cells of the grid; 0 for a bin without galaxies."""


def equal_edges(z_N: ArrayLike, bins: int) -> Floats:
    """Edges of bins with equal numbers of galaxies; fewer where many have the same redshift."""
    z = np.asarray(z_N, np.float64)
    z = z[np.isfinite(z)]
    if not len(z):
        return np.empty(0)
    edges: Floats = np.unique(np.quantile(z, np.linspace(0, 1, bins + 1)))
    # The last bin holds the largest redshift, too.
    edges[-1] = np.nextafter(edges[-1], np.inf)
    return edges


def by_point(z_N: ArrayLike, edges_E: ArrayLike) -> NDArray[np.int64]:
    """The bin that holds each redshift, `NOWHERE` outside; lower edges belong to their bin."""
    z, edges = np.asarray(z_N, np.float64), np.asarray(edges_E, np.float64)
    bin_N = np.searchsorted(edges, z, side="right") - 1
    inside = np.isfinite(z) & (bin_N >= 0) & (bin_N < len(edges) - 1)
    return np.where(inside, bin_N, NOWHERE)


def by_mass(quantiles_NQ: ArrayLike, levels_Q: ArrayLike, edges_E: ArrayLike) -> NDArray[np.int64]:
    """The bin that holds most of each distribution.

    `NOWHERE` where most lies outside all bins, or quantiles are missing.
    """
    below_NE = cumulative(edges_E, quantiles_NQ, levels_Q)
    mass_NB = np.diff(below_NE, axis=1)
    outside_N = 1 - mass_NB.sum(axis=1)
    known = np.isfinite(outside_N)
    best_N = np.argmax(np.where(known[:, None], mass_NB, 0), axis=1)
    largest_N = np.take_along_axis(mass_NB, best_N[:, None], axis=1)[:, 0]
    return np.where(known & (largest_N > outside_N), best_N, NOWHERE)


def stack(
    quantiles_NQ: ArrayLike,
    levels_Q: ArrayLike,
    bin_N: NDArray[np.int64],
    bins: int,
    grid_G: ArrayLike,
) -> Stack:
    """Add up the distributions of the galaxies of each bin.

    Parameters
    ----------
    grid_G
        Edges of cells, K = G - 1; what a distribution has outside is left out.
    """
    quantiles, grid = np.asarray(quantiles_NQ, np.float64), np.asarray(grid_G, np.float64)
    centre_K = (grid[:-1] + grid[1:]) / 2
    # A cell is not a point: the mean square of an even distribution in it.
    square_K = centre_K**2 + np.diff(grid) ** 2 / 12
    mean_N, square_N = np.full((2, len(quantiles)), np.nan)
    mass_BK = np.zeros((bins, len(centre_K)))
    for start in range(0, len(quantiles), CHUNK):
        part = slice(start, start + CHUNK)
        mass_NK = np.diff(cumulative(grid, quantiles[part], levels_Q), axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mass_NK /= mass_NK.sum(axis=1, keepdims=True)
        mean_N[part], square_N[part] = mass_NK @ centre_K, mass_NK @ square_K
        for k in range(bins):
            mass_BK[k] += np.nansum(mass_NK[bin_N[part] == k], axis=0)
    return Stack(mean_N, square_N, densities(mass_BK, grid))


def histogram(
    z_N: ArrayLike,
    weight_N: ArrayLike,
    bin_N: NDArray[np.int64],
    bins: int,
    grid_G: ArrayLike,
) -> Floats:
    """Weighted n(z) of redshifts in each bin, shape (bins, K); each integrates to 1."""
    z, weight = np.asarray(z_N, np.float64), np.asarray(weight_N, np.float64)
    grid = np.asarray(grid_G, np.float64)
    rows = [bin_N == k for k in range(bins)]
    counts = [np.histogram(z[row], grid, weights=weight[row])[0] for row in rows]
    return densities(np.array(counts).reshape(bins, len(grid) - 1), grid)


def densities(mass_BK: Floats, grid_G: Floats) -> Floats:
    """Masses in cells as densities that integrate to 1; 0 where there is no mass."""
    total_B1 = mass_BK.sum(axis=1, keepdims=True)
    share_BK = np.divide(mass_BK, total_B1, out=np.zeros_like(mass_BK), where=total_B1 > 0)
    return np.asarray(share_BK / np.diff(grid_G))
