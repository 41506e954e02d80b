"""Finding the rows of a large table that belong to a few sources, by ID or by position."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.catalogue.arrow_fields import fixed_width, longest_text
from photoz_run.science.matching import match_positions

STRIP = 0.1
"""Width (deg) of the strips of declination in which rows are sorted by right ascension."""


@dataclass(frozen=True)
class Matches:
    """The rows that belong to N sources."""

    row_N: NDArray[np.int64]
    """The row of each source, -1 if it has none."""
    candidates_N: NDArray[np.int32]
    """How many rows could be that of each source."""

    def counts(self) -> dict[str, int]:
        """How many sources have a row, none, and more than one."""
        matched = int((self.row_N >= 0).sum())
        ambiguous = int((self.candidates_N > 1).sum())
        return {"matched": matched, "unmatched": len(self.row_N) - matched, "ambiguous": ambiguous}


@dataclass(frozen=True)
class IdLookup:
    """The IDs of a table, sorted."""

    id_M: NDArray[np.bytes_]

    @classmethod
    def of(cls, ids: pa.ChunkedArray) -> tuple[Self, NDArray[np.intp]]:
        """The lookup, and the order of rows in which it counts; equal IDs stay in their order."""
        id_M = fixed_width(ids, longest_text(ids) or 1)
        order_M = np.argsort(id_M, kind="stable")
        return cls(id_M[order_M]), order_M

    def find(self, sources: pa.Table) -> Matches:
        """The first row with the ID of each source, and how many have it."""
        # An ID may be longer than any of the table's; it must not be cut.
        width = max(longest_text(sources["ID"]), self.id_M.dtype.itemsize)
        id_N = fixed_width(sources["ID"], width)
        first_N = np.searchsorted(self.id_M, id_N)
        number_N = np.searchsorted(self.id_M, id_N, side="right") - first_N
        return Matches(np.where(number_N > 0, first_N, -1), number_N.astype(np.int32))


@dataclass(frozen=True)
class SkyLookup:
    """The positions of a table (deg), sorted by strip of declination, then right ascension."""

    ra_M: NDArray[np.float64]
    dec_M: NDArray[np.float64]
    start_S: NDArray[np.int64]
    radius: float
    """Greatest separation, arcsec."""

    @classmethod
    def of(
        cls, ra_M: NDArray[np.float64], dec_M: NDArray[np.float64], radius: float
    ) -> tuple[Self, NDArray[np.int64]]:
        """The lookup, and the order of rows in which it counts; rows need a position."""
        ra_M = ra_M % 360
        strip_M = strips(dec_M)
        order_M = np.lexsort((ra_M, strip_M))
        placed_M = np.isfinite(ra_M) & np.isfinite(dec_M)
        order_M = order_M[placed_M[order_M]]
        last = strips(np.array([90.0]))[0]
        start_S = np.searchsorted(strip_M[order_M], np.arange(last + 2))
        return cls(ra_M[order_M], dec_M[order_M], start_S, radius), order_M

    def find(self, sources: pa.Table) -> Matches:
        """The nearest row within the radius of each source, and how many lie within it."""
        ra_N, dec_N = (sources[name].to_numpy() for name in ("RAJ2000", "DECJ2000"))
        near_K = self.near(ra_N, dec_N)
        match = match_positions(ra_N, dec_N, self.ra_M[near_K], self.dec_M[near_K], self.radius)
        row_N = np.full(len(ra_N), -1, np.int64)
        row_N[match.matched_N] = near_K[match.index_N[match.matched_N]]
        return Matches(row_N, match.candidates_N)

    def near(self, ra_N: NDArray[np.float64], dec_N: NDArray[np.float64]) -> NDArray[np.int64]:
        """Rows in the range of right ascension and declination of the sources, plus the radius."""
        if not len(ra_N):
            return np.zeros(0, np.int64)
        margin = self.radius / 3600
        south, north = float(dec_N.min()) - margin, float(dec_N.max()) + margin
        ranges = ra_ranges(ra_N, margin, max(abs(south), abs(north)))
        first, last = strips(np.clip([south, north], -90, 90))
        parts = []
        for strip in range(first, last + 1):
            start, stop = self.start_S[strip], self.start_S[strip + 1]
            for west, east in ranges:
                low, high = np.searchsorted(self.ra_M[start:stop], [west, east])
                parts.append(np.arange(start + low, start + high))
        return np.concatenate(parts)


def strips(dec_N: NDArray[np.float64]) -> NDArray[np.int64]:
    """The strip of each declination (deg); that of 0 deg for NaN."""
    return np.floor((np.nan_to_num(dec_N) + 90) / STRIP).astype(np.int64)


def ra_ranges(
    ra_N: NDArray[np.float64], margin: float, steepest: float
) -> list[tuple[float, float]]:
    """The range of right ascensions with a margin (deg), as one or two ranges in 0..360.

    The ends are excluded. ``steepest`` is the largest absolute declination: there a margin spans
    most in right ascension.
    """
    everywhere = [(0.0, 361.0)]
    if steepest + margin >= 90:
        return everywhere
    offset_N = (ra_N - ra_N[0] + 180) % 360 - 180
    # A little more than margin / cos(dec): a circle on the sky is widest nearer to the pole than
    # its centre lies.
    wide = 1.01 * margin / np.cos(np.radians(steepest + margin)) + 1e-9
    west, east = ra_N[0] + offset_N.min() - wide, ra_N[0] + offset_N.max() + wide
    if east - west >= 360:
        return everywhere
    start, stop = west % 360, west % 360 + (east - west)
    return [(start, stop)] if stop <= 360 else [(start, 361.0), (0.0, stop - 360)]
