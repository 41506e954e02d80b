"""Smoothing of a training set's redshifts: a network should not learn its clusters and walls."""

import numpy as np
from numpy.typing import NDArray

BIN = 0.005
"""Bins of redshift, narrower than the walls of large-scale structure seen in a small field."""

SMOOTHING = 0.02
"""Standard deviation of the Gaussian that draws the smooth distribution, wider than any wall."""

NOISE = 2.0
"""A bin may stand this many times its Poisson noise above the curve."""

ROUNDS = 5
"""A high peak lifts the curve that it is measured against; each round lowers both."""


def smooth_redshifts(z_N: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    """Rows to keep, in order, so that no bin of redshift stands out above the smooth distribution.

    Bins above the curve lose galaxies at random. Bins below it stay as they are: nothing can be
    added to them.
    """
    bin_N = np.floor((z_N - z_N.min()) / BIN).astype(np.int64)
    counts = np.bincount(bin_N).astype(np.float64)
    allowed = counts.copy()
    for _ in range(ROUNDS):
        curve = _smoothed(allowed)
        allowed = np.minimum(counts, np.ceil(curve + NOISE * np.sqrt(curve)))
    chance_N = np.random.default_rng(seed).random(len(z_N))
    order_N = np.lexsort((chance_N, bin_N))
    rank_N = np.empty(len(z_N), dtype=np.int64)
    first = (np.cumsum(counts) - counts).astype(np.int64)
    rank_N[order_N] = np.arange(len(z_N)) - first[bin_N[order_N]]
    return np.flatnonzero(rank_N < allowed[bin_N])


def _smoothed(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    offset = np.arange(-int(4 * SMOOTHING / BIN), int(4 * SMOOTHING / BIN) + 1) * BIN
    kernel = np.exp(-(offset**2) / (2 * SMOOTHING**2))
    # Divided by what a flat distribution gives, so that the ends of the range are not drawn down.
    full = np.convolve(counts, kernel)[len(offset) // 2 :][: len(counts)]
    flat = np.convolve(np.ones_like(counts), kernel)[len(offset) // 2 :][: len(counts)]
    smooth: NDArray[np.float64] = full / flat
    return smooth
