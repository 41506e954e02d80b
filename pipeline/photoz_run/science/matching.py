"""Matching of positions on the sphere: the nearest neighbour within a radius."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import BadDataError

ZONE = 2_000_000
"""Positions that are matched at once."""
SAMPLE = 100_000
"""Declinations that tell how the positions are spread."""
ARCSEC_PER_RADIAN = 3600 * 180 / np.pi


@dataclass(frozen=True)
class PositionMatch:
    """The nearest row of M for each row of N.

    Attributes
    ----------
    index_N : int64, row of M, -1 where none lies within the radius
    separation_N : float64, arcsec, inf where there is none
    candidates_N : int32, how many rows of M lie within the radius
    """

    index_N: NDArray[np.int64]
    separation_N: NDArray[np.float64]
    candidates_N: NDArray[np.int32]

    @property
    def matched_N(self) -> NDArray[np.bool_]:
        """Where a row of M was found."""
        return self.index_N >= 0


def unit_vectors(ra_N: NDArray[np.float64], dec_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cartesian unit vectors, shape (N, 3), of positions in degrees."""
    ra = np.radians(ra_N, dtype=np.float64)
    dec = np.radians(dec_N, dtype=np.float64)
    x_N = np.cos(dec) * np.cos(ra)
    y_N = np.cos(dec) * np.sin(ra)
    return np.column_stack([x_N, y_N, np.sin(dec)])


def separations(
    ra_N: NDArray[np.float64], dec_N: NDArray[np.float64], ra: float, dec: float
) -> NDArray[np.float64]:
    """Angle (arcsec) between each of N positions and one more, all in degrees; NaN stays NaN."""
    here = unit_vectors(np.array([ra]), np.array([dec]))
    chord_N = np.linalg.norm(unit_vectors(ra_N, dec_N) - here, axis=1)
    angle_N: NDArray[np.float64] = 2 * np.arcsin(np.minimum(chord_N / 2, 1.0))
    return angle_N * ARCSEC_PER_RADIAN


def match_positions(
    ra_N: NDArray[np.float64],
    dec_N: NDArray[np.float64],
    ra_M: NDArray[np.float64],
    dec_M: NDArray[np.float64],
    radius_arcsec: float,
) -> PositionMatch:
    """For each position of N, the nearest position of M within ``radius_arcsec`` (inclusive).

    The search runs on unit vectors, so RA = 0 and the poles need no care; a chord c spans the angle
    2 arcsin(c/2). Positions that are not finite match nothing. Among equally near rows of M always
    the same one is taken. The time is O((N + M) log M).

    Parameters
    ----------
    ra_N, dec_N, ra_M, dec_M
        Right ascension and declination, degrees; RA may have any multiple of 360 added.
    radius_arcsec
        The greatest separation, arcsec, more than 0 and at most one degree.

    Raises
    ------
    BadDataError
        If the radius is out of range, or RA and Dec differ in length.
    """
    _check(ra_N, dec_N, ra_M, dec_M, radius_arcsec)
    match = PositionMatch(
        np.full(len(ra_N), -1, np.int64), np.full(len(ra_N), np.inf), np.zeros(len(ra_N), np.int32)
    )
    for south, north in _zones(dec_N, dec_M):
        rows_N = _rows_between(ra_N, dec_N, south, north)
        if not len(rows_N):
            continue
        reach = 1.001 * radius_arcsec / 3600
        rows_M = _rows_between(ra_M, dec_M, south - reach, north + reach)
        _match_part(match, (ra_N, dec_N, rows_N), (ra_M, dec_M, rows_M), radius_arcsec)
    return match


Places: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]
"""Right ascension and declination of all rows, and the rows that count."""


def _zones(dec_N: NDArray[np.float64], dec_M: NDArray[np.float64]) -> Iterator[tuple[float, float]]:
    """Zones of declination (from, to) that hold about `ZONE` positions of both tables together.

    A tree of twenty million positions needs gigabytes, one of a zone a hundred megabytes.
    """
    number = -(-(len(dec_N) + len(dec_M)) // ZONE)
    if number <= 1:
        yield -np.inf, np.inf
        return
    sample = np.concatenate([dec[:: 1 + len(dec) // SAMPLE] for dec in (dec_N, dec_M)])
    sample = np.sort(sample[np.isfinite(sample)])
    inner = sample[np.arange(1, number) * len(sample) // number] if len(sample) else sample
    yield from pairwise([-np.inf, *np.unique(inner), np.inf])


def _rows_between(
    ra_N: NDArray[np.float64], dec_N: NDArray[np.float64], south: float, north: float
) -> NDArray[np.intp]:
    """Rows with a position in ``south <= dec < north``, in their order."""
    within_N = (dec_N >= south) & (dec_N < north)
    within_N &= np.isfinite(dec_N) & np.isfinite(ra_N)
    return np.flatnonzero(within_N)


def _match_part(match: PositionMatch, n: Places, m: Places, radius_arcsec: float) -> None:
    """Write the matches of some rows of N among some rows of M into ``match``."""
    (ra_N, dec_N, rows_N), (ra_M, dec_M, rows_M) = n, m
    if not len(rows_M):
        return
    # Here, because it takes a fifth of a second: who looks at one galaxy matches no tables.
    from scipy.spatial import cKDTree

    tree = cKDTree(unit_vectors(ra_M[rows_M], dec_M[rows_M]))
    points = unit_vectors(ra_N[rows_N], dec_N[rows_N])
    # Neighbours in the sky share their way through the tree: asked in turn they are 3 times faster.
    order = np.argsort(_cells(points), kind="stable")
    rows_N, points = rows_N[order], points[order]
    chord = 2 * np.sin(radius_arcsec / ARCSEC_PER_RADIAN / 2)
    # The tree's bound is exclusive. Two neighbours tell where counting is worth its time.
    distance_N2, nearest_N2 = tree.query(points, k=2, distance_upper_bound=np.nextafter(chord, 1))
    within = np.isfinite(distance_N2[:, 0])
    hits = rows_N[within]
    match.index_N[hits] = rows_M[nearest_N2[within, 0]]
    angle = 2 * np.arcsin(distance_N2[within, 0] / 2)
    match.separation_N[hits] = angle * ARCSEC_PER_RADIAN
    match.candidates_N[hits] = 1
    crowded = np.isfinite(distance_N2[:, 1])
    counts = tree.query_ball_point(points[crowded], chord, return_length=True)
    match.candidates_N[rows_N[crowded]] = np.maximum(counts, 2)


def _cells(points_N3: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of the cube, 0.1 degrees wide, that holds each point."""
    steps = np.floor((points_N3 + 1) * 500).astype(np.int64)
    return np.asarray(steps @ np.array([1_000_000, 1_000, 1]))


def _check(
    ra_N: NDArray[np.float64],
    dec_N: NDArray[np.float64],
    ra_M: NDArray[np.float64],
    dec_M: NDArray[np.float64],
    radius_arcsec: float,
) -> None:
    if len(ra_N) != len(dec_N) or len(ra_M) != len(dec_M):
        raise BadDataError("positions: RA and Dec must have the same number of rows")
    if not 0 < radius_arcsec <= 3600:
        raise BadDataError(f"matching radius {radius_arcsec} arcsec: must lie in (0, 3600]")
