"""Places on the sky as HEALPix cells (NESTED): the order of rows, ranges that fit into memory."""

import numpy as np
from astropy.coordinates import Latitude, Longitude
from cdshealpix.nested import lonlat_to_healpix
from numpy.typing import NDArray

ORDER = 29
"""The finest order: a cell is 0.4 milliarcsec wide. Rows are sorted by it, as in HATS."""
COUNT_ORDER = 8
"""Order of the cells in which rows are counted.

They are 14 arcmin wide and hold a few thousand KiDS sources at full depth.
"""
CELLS = 12 * 4**COUNT_ORDER
SHIFT = 2 * (ORDER - COUNT_ORDER)


def healpix_index(ra_N: NDArray[np.float64], dec_N: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cell of order 29 in which each position (deg) lies; what HATS calls ``_healpix_29``."""
    index_N = lonlat_to_healpix(Longitude(ra_N, "deg"), Latitude(dec_N, "deg"), ORDER)
    return np.asarray(index_N, np.int64)


def count_cells(index_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the positions lie in each cell of `COUNT_ORDER`."""
    return np.bincount(index_N >> SHIFT, minlength=CELLS)


def range_starts(count_C: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The first index of each of few ranges that hold at most ``most`` positions each.

    The ranges follow on one another; the first starts at 0. A single cell with more than ``most``
    positions is a range of its own.
    """
    starts, held = [0], 0
    for cell in np.flatnonzero(count_C):
        held += int(count_C[cell])
        if held > most and held > count_C[cell]:
            starts.append(int(cell) << SHIFT)
            held = int(count_C[cell])
    return np.array(starts, np.int64)


def range_of(index_N: NDArray[np.int64], start_R: NDArray[np.int64]) -> NDArray[np.intp]:
    """The number of the range in which each index lies."""
    return np.searchsorted(start_R, index_N, side="right") - 1
