"""One row per source: which row stays where overlapping tiles measured the same source.

Rows with the same ID are measurements of one source. The first of these that differ decides which
row stays:

1. a row with a redshift before one without;
2. fewer quality bits that tell of pixels and magnitudes (`DEFECTS`). Bits that follow from the
   redshift do not count: choosing by the result would shape n(z);
3. the smaller distance from the centre of the tile's coadd, where noise is lowest and the
   point-spread function best. It is rounded to 0.001 arcsec, so that all machines decide alike;
4. the name of the tile, in order of its characters.

Nothing here depends on the order of the tiles. Rows with different IDs are never merged, however
near they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.errors import ConfigError
from photoz_run.flags import FLAGS
from photoz_run.release.buckets import MOST, Buckets
from photoz_run.release.identity import id_numbers
from photoz_run.science.matching import ARCSEC_PER_RADIAN, unit_vectors

RESULTS = ("OUT_OF_DOMAIN", "Z_LIMIT", "NO_REDSHIFT")
DEFECTS = sum(flag.value for flag in FLAGS if flag.name not in RESULTS)
RULE = (
    "a row with a redshift before one without; then fewer quality bits, OUT_OF_DOMAIN and Z_LIMIT"
    " not counted; then the smaller distance from the centre of the tile's coadd; then the tile's"
    " name"
)
SAME_SOURCE = 5.0
"""Rows with one ID may lie this far apart (arcsec).

The centroids of one source differ less, even if it is extended.
"""
CLAIMS_AT_ONCE = 1 << 20
"""Rows whose IDs are compared together, some 70 bytes each."""
COLUMNS = ("ID", "RAJ2000", "DECJ2000", "Z_PHOT", "PHOTOZ_FLAG")
"""What the rule reads of a tile."""


@dataclass(frozen=True)
class Duplicates:
    """Rows that stay out of the release: their numbers within their tile, by the tile's number."""

    rows: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    sources: int = 0
    """Sources with more than one row."""

    def count(self, tile: int) -> int:
        """How many rows of a tile stay out."""
        return len(self.rows.get(tile, ()))


class Claims:
    """Collects what decides between rows with one ID, spread over files by a number of the ID.

    Rows with one ID come into one file, so that looking at one file after another finds all
    duplicates. The number only deals the rows out; the IDs themselves are compared.
    """

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    @staticmethod
    def files(rows: int) -> int:
        """How many files ``rows`` rows need."""
        return min(MOST, 1 + rows // CLAIMS_AT_ONCE)

    def add(self, table: pa.Table, tile: int, centre: Sequence[float] | None) -> None:
        """Add the rows of a tile.

        Parameters
        ----------
        table
            Its rows; `COLUMNS` are read.
        tile
            Its number; tiles must be numbered in the order of their names.
        centre
            RA and Dec (deg) of the centre of its coadd, if it is known.
        """
        claims = claims_of(table, tile, centre)
        bucket_N = id_numbers(claims["ID"]) % np.uint64(self._buckets.number)
        self._buckets.add(claims, bucket_N.astype(np.intp))

    def settle(self, names: Sequence[str]) -> Duplicates:
        """Decide; ``names`` are those of the tiles, by number.

        Raises
        ------
        ConfigError
            If one ID stands at two places: then it does not name a source.
        """
        self._buckets.close()
        parts: list[pa.Table] = []
        sources = 0
        for number in range(self._buckets.number):
            claims = self._buckets.take(number)
            if claims is not None:
                lost, repeated = losers(claims, names)
                sources += repeated
                parts.append(lost)
        if not any(len(part) for part in parts):
            return Duplicates()
        lost = pa.concat_tables(parts).sort_by([("tile", "ascending"), ("row", "ascending")])
        tiles, starts = np.unique(lost["tile"].to_numpy(), return_index=True)
        row_lists = np.split(lost["row"].to_numpy(), starts[1:])
        return Duplicates(dict(zip(tiles.tolist(), row_lists, strict=True)), sources)


def claims_of(table: pa.Table, tile: int, centre: Sequence[float] | None) -> pa.Table:
    """What decides between rows (smaller is better in each column), and which row it is of."""
    ra_N, dec_N = table["RAJ2000"].to_numpy(), table["DECJ2000"].to_numpy()
    flags_N = table["PHOTOZ_FLAG"].to_numpy()
    distance_N = np.full(len(table), np.inf)
    if centre is not None:
        distance_N = separation(ra_N, dec_N, *centre).round(3)
    return pa.table(
        {
            "ID": table["ID"],
            "ra": ra_N,
            "dec": dec_N,
            "unmeasured": table["Z_PHOT"].is_null(),
            "defects": np.bitwise_count(flags_N & np.int32(DEFECTS)),
            "distance": distance_N,
            "tile": np.full(len(table), tile, np.int32),
            "row": np.arange(len(table), dtype=np.int64),
        }
    )


def losers(claims: pa.Table, names: Sequence[str]) -> tuple[pa.Table, int]:
    """The rows that give way to a better one of the same ID.

    Returns
    -------
    rows
        Their columns ``tile`` and ``row``.
    repeated
        How many IDs have several rows.

    Raises
    ------
    ConfigError
        If one ID stands at two places.
    """
    code_N = claims["ID"].combine_chunks().dictionary_encode().indices.to_numpy()
    repeated_N = np.bincount(code_N)[code_N] > 1
    rivals = claims.filter(pa.array(repeated_N))
    keys = ("ID", "unmeasured", "defects", "distance", "tile", "row")
    rivals = rivals.sort_by([(key, "ascending") for key in keys])
    ids = rivals["ID"].combine_chunks()
    first_N = np.ones(len(rivals), bool)
    first_N[1:] = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
    _refuse_scattered(rivals, first_N, names)
    return rivals.filter(pa.array(~first_N)).select(["tile", "row"]), int(first_N.sum())


def separation(
    ra_N: NDArray[np.float64], dec_N: NDArray[np.float64], ra: float, dec: float
) -> NDArray[np.float64]:
    """Distance of each position from (``ra``, ``dec``) in arcsec; positions in deg."""
    centre = unit_vectors(np.array([ra]), np.array([dec]))
    chord_N = np.linalg.norm(unit_vectors(ra_N, dec_N) - centre, axis=1)
    return np.asarray(2 * np.arcsin(chord_N / 2) * ARCSEC_PER_RADIAN)


def centre_of(footprint: Sequence[Sequence[float]]) -> tuple[float, float] | None:
    """The middle (RA and Dec, deg) of the corners of a coadd, ``None`` without corners."""
    if not footprint:
        return None
    corners_K2 = np.array(footprint, np.float64)
    x, y, z = unit_vectors(corners_K2[:, 0], corners_K2[:, 1]).mean(axis=0)
    ra = np.degrees(np.arctan2(y, x)) % 360
    dec = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return float(ra), float(dec)


def _refuse_scattered(rivals: pa.Table, first_N: NDArray[np.bool_], names: Sequence[str]) -> None:
    vectors_N3 = unit_vectors(rivals["ra"].to_numpy(), rivals["dec"].to_numpy())
    winner_N = np.maximum.accumulate(np.where(first_N, np.arange(len(first_N)), 0))
    chord_N = np.linalg.norm(vectors_N3 - vectors_N3[winner_N], axis=1)
    far_N = np.flatnonzero(chord_N > SAME_SOURCE / ARCSEC_PER_RADIAN)
    if len(far_N):
        first = int(far_N[0])
        rows = (int(winner_N[first]), first)
        tiles = [names[rivals["tile"][row].as_py()] for row in rows]
        degrees = chord_N[first] * ARCSEC_PER_RADIAN / 3600
        raise ConfigError(
            f"ID {rivals['ID'][first].as_py()!r} stands at two places, {degrees:.3f} deg apart, in"
            f" {' and '.join(tiles)}: the IDs of the catalogues do not name a source each; mend"
            " them first"
        )
