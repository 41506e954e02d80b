"""Cutting square stamps out of an image, vectorised over sources.

For a source at 0-based pixel x a stamp of ``size`` starts at ``ceil(x - size / 2)``: the pixels of
astropy's ``Cutout2D(mode="partial")`` (docs/decisions/stamps.md). At an edge the source stays at
its place and the missing part is uncovered. A stamp is never re-centred and never dropped.
"""

import numpy as np
from numpy.typing import NDArray


def stamp_start(
    x_N: NDArray[np.float64], size: int, centring: str = "ceil(x - size/2)"
) -> NDArray[np.int64]:
    """First pixel of the stamp around each 0-based pixel position, by the rule ``centring``."""
    first = np.floor if centring.startswith("floor") else np.ceil
    start_N: NDArray[np.int64] = first(x_N - size / 2).astype(np.int64)
    return start_N


def cut_stamps(
    image_YX: NDArray[np.generic], y0_N: NDArray[np.int64], x0_N: NDArray[np.int64], size: int
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Cut stamps that start at the given pixels; parts outside the image are zero and uncovered.

    Parameters
    ----------
    image_YX
        Image of any dtype, in memory or mapped from a file. It is read in sequence if ``y0_N`` is
        sorted.
    y0_N, x0_N
        0-based first row and column of each stamp; may lie outside the image.
    size
        Edge length in pixels.

    Returns
    -------
    values_NHW : ndarray of the dtype of ``image_YX`` in native byte order
    covered_NHW : bool ndarray, True where the stamp lies on the image
    """
    values_NHW = empty_stamps(image_YX, len(y0_N), size)
    copy_stamps(image_YX, y0_N, x0_N, values_NHW)
    return values_NHW, covered_pixels(image_YX.shape, y0_N, x0_N, size)


def empty_stamps(image_YX: NDArray[np.generic], n: int, size: int) -> NDArray[np.generic]:
    """Room for ``n`` stamps of an image, in native byte order."""
    return np.empty((n, size, size), dtype=image_YX.dtype.newbyteorder("="))


def copy_stamps(
    image_YX: NDArray[np.generic],
    y0_N: NDArray[np.int64],
    x0_N: NDArray[np.int64],
    values_NHW: NDArray[np.generic],
) -> None:
    """Fill ``values_NHW`` with stamps that start at the given pixels, zero outside the image."""
    height, width = image_YX.shape
    size = values_NHW.shape[-1]
    top_N, bottom_N = np.clip(y0_N, 0, height), np.clip(y0_N + size, 0, height)
    left_N, right_N = np.clip(x0_N, 0, width), np.clip(x0_N + size, 0, width)
    values_NHW[(bottom_N - top_N < size) | (right_N - left_N < size)] = 0
    bounds = (y0_N, x0_N, top_N, bottom_N, left_N, right_N)
    # One slice copy per source is as fast as indexing sliding windows, and needs no care at edges.
    places = zip(*(bound_N.tolist() for bound_N in bounds), strict=True)
    for values_HW, (y0, x0, top, bottom, left, right) in zip(values_NHW, places, strict=True):
        seen_YX = image_YX[top:bottom, left:right]
        values_HW[top - y0 : bottom - y0, left - x0 : right - x0] = seen_YX


def covered_pixels(
    shape_YX: tuple[int, ...], y0_N: NDArray[np.int64], x0_N: NDArray[np.int64], size: int
) -> NDArray[np.bool_]:
    """True where stamps that start at the given pixels lie on an image of this shape [N, H, W]."""
    row_NH = _on_axis(y0_N, size, shape_YX[0])
    column_NW = _on_axis(x0_N, size, shape_YX[1])
    covered_NHW: NDArray[np.bool_] = row_NH[:, :, None] & column_NW[:, None, :]
    return covered_NHW


def _on_axis(start_N: NDArray[np.int64], size: int, length: int) -> NDArray[np.bool_]:
    """Which pixels of the stamps lie on the image along one axis."""
    pixel_NP = start_N[:, None] + np.arange(size)
    return (pixel_NP >= 0) & (pixel_NP < length)
