"""Regions of the sky with equal numbers of galaxies."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST = 50
"""No region has fewer galaxies; many fewer tell nothing of what a region shares."""


def sky_regions(ra_N: ArrayLike, dec_N: ArrayLike, most: int = 32) -> NDArray[np.int32]:
    """Compact regions of the sky: a region is halved where it is longest until there are enough.

    Parameters
    ----------
    ra_N, dec_N
        Degrees.
    most
        Largest number of regions, a power of two.

    Returns
    -------
    The region of each galaxy, shape (N,), from 0.
    """
    ra, dec = np.radians(np.asarray(ra_N, np.float64)), np.radians(np.asarray(dec_N, np.float64))
    place_3N = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    place_3N = np.nan_to_num(place_3N)
    region_N = np.zeros(place_3N.shape[1], np.int32)
    parts = [np.arange(place_3N.shape[1])]
    while 2 * len(parts) <= most and min(map(len, parts)) >= 2 * FEWEST:
        parts = [half for rows in parts for half in _halves(place_3N, rows)]
    for number, rows in enumerate(parts):
        region_N[rows] = number
    return region_N


def _halves(place_3N: NDArray[np.float64], rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """A region cut at its median along the axis in which it is longest."""
    axis = int(np.argmax(np.ptp(place_3N[:, rows], axis=1)))
    order = np.argsort(place_3N[axis, rows], kind="stable")
    middle = len(rows) // 2
    return [rows[order[:middle]], rows[order[middle:]]]
