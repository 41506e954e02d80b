"""Cutting square stamps out of an image, vectorised over sources.

The rule (see docs/decisions): for a source at 0-based pixel x a stamp of ``size`` starts at ``ceil(x - size / 2)``,
the same pixels as astropy's ``Cutout2D(mode="partial")``. At an edge the source stays at its place and the missing
part is uncovered; a stamp is never re-centred and never dropped.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray


def stamp_start(x_N: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """First pixel of the stamp of ``size`` around each 0-based pixel position: ``ceil(x - size / 2)``."""
    return np.ceil(x_N - size / 2).astype(np.int64)


def cut_stamps(
    image_YX: NDArray[np.generic], y0_N: NDArray[np.int64], x0_N: NDArray[np.int64], size: int
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Cut stamps that start at the given pixels; parts outside the image are zero and uncovered.

    Parameters
    ----------
    image_YX
        Image of any dtype, in memory or mapped from a file. Reading is sequential if ``y0_N`` is sorted.
    y0_N, x0_N
        0-based first row and column of each stamp; may lie outside the image.
    size
        Edge length in pixels.

    Returns
    -------
    values_NHW : ndarray of the dtype of ``image_YX`` in native byte order
    covered_NHW : bool ndarray, True where the stamp lies on the image
    """
    height, width = image_YX.shape
    n = len(y0_N)
    values_NHW = np.zeros((n, size, size), dtype=image_YX.dtype.newbyteorder("="))
    covered_NHW = np.zeros((n, size, size), dtype=bool)
    inside = (y0_N >= 0) & (x0_N >= 0) & (y0_N <= height - size) & (x0_N <= width - size)
    if inside.any():
        windows = sliding_window_view(image_YX, (size, size))
        values_NHW[inside] = windows[y0_N[inside], x0_N[inside]]
        covered_NHW[inside] = True
    for k in np.flatnonzero(~inside):
        top, bottom = np.clip([y0_N[k], y0_N[k] + size], 0, height)
        left, right = np.clip([x0_N[k], x0_N[k] + size], 0, width)
        target = np.s_[k, top - y0_N[k] : bottom - y0_N[k], left - x0_N[k] : right - x0_N[k]]
        values_NHW[target] = image_YX[top:bottom, left:right]
        covered_NHW[target] = True
    return values_NHW, covered_NHW
