"""Finding the rows of a large table that belong to a few sources, by ID or by place; memory holds the keys once."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.science.matching import match_positions

STRIP = 0.1
"""Width (deg) of the strips of declination in which rows are sorted by right ascension."""


@dataclass(frozen=True)
class Found:
    """For each of N sources the row that belongs to it, -1 if none does, and how many would."""

    row_N: NDArray[np.int64]
    candidates_N: NDArray[np.int32]

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
        """The lookup, and the order of the table's rows that it counts in: equal IDs as they stand in the table."""
        id_M = fixed_width(ids, pc.max(pc.binary_length(ids)).as_py() or 1)
        order_M = np.argsort(id_M, kind="stable")
        return cls(id_M[order_M]), order_M

    def find(self, sources: pa.Table) -> Found:
        """The first row with the ID of each source, and how many have it."""
        # A longer ID than any of the table's must stay one.
        longest = pc.max(pc.binary_length(sources["ID"])).as_py() or 1
        id_N = fixed_width(sources["ID"], max(longest, self.id_M.dtype.itemsize))
        first_N = np.searchsorted(self.id_M, id_N)
        number_N = np.searchsorted(self.id_M, id_N, side="right") - first_N
        return Found(np.where(number_N > 0, first_N, -1), number_N.astype(np.int32))


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
        """The lookup, and the rows of the table that it counts in; rows without a position are not among them."""
        ra_M = ra_M % 360
        strip_M = strips(dec_M)
        order_M = np.lexsort((ra_M, strip_M))
        order_M = order_M[np.isfinite(ra_M[order_M]) & np.isfinite(dec_M[order_M])]
        start_S = np.searchsorted(strip_M[order_M], np.arange(strips(np.array([90.0]))[0] + 2))
        return cls(ra_M[order_M], dec_M[order_M], start_S, radius), order_M

    def find(self, sources: pa.Table) -> Found:
        """The nearest row within the radius of each source, and how many lie within it."""
        ra_N, dec_N = (sources[name].to_numpy() for name in ("RAJ2000", "DECJ2000"))
        near_K = self.near(ra_N, dec_N)
        match = match_positions(ra_N, dec_N, self.ra_M[near_K], self.dec_M[near_K], self.radius)
        row_N = np.full(len(ra_N), -1, np.int64)
        row_N[match.matched_N] = near_K[match.index_N[match.matched_N]]
        return Found(row_N, match.candidates_N)

    def near(self, ra_N: NDArray[np.float64], dec_N: NDArray[np.float64]) -> NDArray[np.int64]:
        """Rows in the range of right ascension and declination of the sources, the radius added all round."""
        if not len(ra_N):
            return np.zeros(0, np.int64)
        margin = self.radius / 3600
        south, north = float(dec_N.min()) - margin, float(dec_N.max()) + margin
        first, last = strips(np.clip([south, north], -90, 90))
        parts = [
            np.arange(start + low, start + high)
            for start, stop in zip(
                self.start_S[first : last + 1], self.start_S[first + 1 : last + 2], strict=True
            )
            for west, east in ra_ranges(ra_N, margin, max(abs(south), abs(north)))
            for low, high in [np.searchsorted(self.ra_M[start:stop], [west, east])]
        ]
        return np.concatenate(parts)


def strips(dec_N: NDArray[np.float64]) -> NDArray[np.int64]:
    """The strip of each declination (deg); nonsense where there is none."""
    return np.floor((np.nan_to_num(dec_N) + 90) / STRIP).astype(np.int64)


def ra_ranges(
    ra_N: NDArray[np.float64], margin: float, steepest: float
) -> list[tuple[float, float]]:
    """The range of right ascensions with a margin (deg), as one or two ranges in 0..360 (the end excluded).

    ``steepest`` is the largest declination that counts, where a margin spans most of right ascension.
    """
    everywhere = [(0.0, 361.0)]
    if steepest + margin >= 90:
        return everywhere
    offset_N = (ra_N - ra_N[0] + 180) % 360 - 180
    # A little more than margin / cos: on a great circle the widest place is not at the height of its centre.
    wide = 1.01 * margin / np.cos(np.radians(steepest + margin)) + 1e-9
    west, east = ra_N[0] + offset_N.min() - wide, ra_N[0] + offset_N.max() + wide
    if east - west >= 360:
        return everywhere
    start, stop = west % 360, west % 360 + (east - west)
    return [(start, stop)] if stop <= 360 else [(start, 361.0), (0.0, stop - 360)]


def fixed_width(texts: pa.ChunkedArray, width: int) -> NDArray[np.bytes_]:
    """Texts as an array of ``width`` bytes each, nulls as empty ones."""
    parts = [_fixed(chunk.cast(pa.string()).fill_null(""), width) for chunk in texts.chunks]
    return np.concatenate([np.empty(0, f"S{width}"), *parts])


def _fixed(texts: pa.StringArray, width: int) -> NDArray[np.bytes_]:
    # Texts filled up to one width lie one after the other in memory.
    filled = pc.ascii_rpad(texts, width, padding="\0")
    _, offsets, data = filled.buffers()
    if data is None:
        return np.empty(0, f"S{width}")
    return np.frombuffer(
        data, f"S{width}", len(filled), int(np.frombuffer(offsets, np.int32)[filled.offset])
    )
