"""Pairing photo-z with spec-z by position: one pair per galaxy, every loss counted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import BadDataError
from photoz_run.science.matching import PositionMatch, match_positions
from photoz_run.validation.catalogue import Catalogue
from photoz_run.validation.specz import SpecSample

FOOTPRINT_ARCSEC = 300.0
"""A spec-z with no source of the catalogue within this distance lies outside its footprint."""

AGREEMENT = 0.002
"""Two spec-z of one galaxy agree if they differ by less than this times (1 + z), 600 km/s."""

SAMPLE = 20_000
"""Spec-z looked at to find out whether positions are wrong."""

NONE = -1
"""The row of a source without a spec-z."""

Places = tuple[NDArray[np.float64], NDArray[np.float64]]

_CORRECTIONS: dict[str, Callable[[NDArray[Any], NDArray[Any]], Places]] = {
    "are in radians": lambda ra, dec: (np.degrees(ra), np.degrees(dec)),
    "have right ascension in hours": lambda ra, dec: (15 * ra, dec),
    "have RA and Dec swapped (or those of the other table)": lambda ra, dec: (dec, ra),
}
"""What can be wrong with positions, and what puts it right."""


@dataclass(frozen=True)
class PairCounts:
    """What became of the spec-z: ``matched`` = ``pairs`` + ``duplicates`` + ``conflicting``."""

    specz: int
    in_footprint: int
    matched: int
    ambiguous: int
    """Had several sources within the radius; the nearest was taken."""
    duplicates: int
    """Further spec-z of a galaxy that agree with the one taken."""
    conflicting: int
    """Spec-z of galaxies whose spec-z disagree; none of them is used."""
    pairs: int
    without_photoz: int
    """Pairs that have no photo-z."""
    left_out: int = 0
    """In the footprint and unmatched, where a source lies that the selection leaves out."""

    @property
    def outside(self) -> int:
        """Spec-z outside the footprint."""
        return self.specz - self.in_footprint

    @property
    def without_source(self) -> int:
        """Spec-z in the footprint with no source within the radius at all."""
        return self.in_footprint - self.matched - self.left_out

    @property
    def completeness(self) -> float:
        """Fraction of the pairs that have a photo-z."""
        return (self.pairs - self.without_photoz) / self.pairs if self.pairs else float("nan")


@dataclass(frozen=True)
class Pairs:
    """Galaxies with photo-z and spec-z.

    The columns are those of the catalogue, with Z_SPEC, SPEC_SOURCE and SEPARATION.
    """

    columns: dict[str, NDArray[Any]]
    counts: PairCounts
    levels_Q: NDArray[np.float64]
    """The probabilities of the column Z_QUANTILES; empty where there is none."""
    source_K: NDArray[np.int32] = field(repr=False)
    """The source of each pair in the catalogue."""

    def __len__(self) -> int:
        return len(self.columns["Z_SPEC"])


def pair(
    catalogue: Catalogue, specz: SpecSample, radius: float, match_fraction_min: float = 0.0
) -> Pairs:
    """Pair each spec-z with the nearest source within ``radius`` (arcsec).

    A source is paired with one spec-z: of several that of the first table, then the nearest.

    Raises
    ------
    BadDataError
        If nothing matches, or too small a fraction of the spec-z in the footprint. The message
        says what the positions look like (radians, hours, RA and Dec swapped).
    """
    match = match_positions(specz.ra_M, specz.dec_M, catalogue.ra_N, catalogue.dec_N, radius)
    matched = int(match.matched_N.sum())
    in_footprint, left_out = _unmatched(catalogue, specz, match.matched_N, radius)
    if not matched or matched < match_fraction_min * in_footprint:
        raise BadDataError(_explain(catalogue, specz, radius, matched, in_footprint))

    taken, duplicates, conflicting = _one_each(specz, match, len(catalogue))
    # Narrow types: of twenty million pairs each byte is 20 MB.
    source = match.index_N[taken].astype(np.int32)
    separation = match.separation_N[taken].astype(np.float32)
    ambiguous = int(np.sum(match.candidates_N > 1))
    # Of twenty million spec-z these are 400 MB, that the columns need.
    del match
    columns = catalogue.columns_of(source) | {
        "Z_SPEC": specz.z_M[taken],
        "SPEC_SOURCE": specz.source_M[taken],
        "SEPARATION": separation,
    }
    counts = PairCounts(
        specz=len(specz),
        in_footprint=in_footprint,
        matched=matched,
        ambiguous=ambiguous,
        duplicates=duplicates,
        conflicting=conflicting,
        pairs=len(taken),
        without_photoz=int(np.sum(~np.isfinite(columns["Z_PHOT"]))),
        left_out=left_out,
    )
    if counts.without_photoz == counts.pairs:
        raise BadDataError(
            f"{catalogue.path}: no pair is left: of {matched} matched spec-z"
            f" {counts.conflicting} contradict each other, and {counts.without_photoz} of"
            f" {counts.pairs} sources have no photo-z"
        )
    return Pairs(columns, counts, catalogue.levels_Q, source)


def _one_each(
    specz: SpecSample, match: PositionMatch, sources: int
) -> tuple[NDArray[np.int32], int, int]:
    """The spec-z that is taken for each source, in the order of the sources.

    Most sources have one, and need no sorting: memory holds one number for each source.

    Returns
    -------
    Rows of the spec-z; how many more are duplicates of them, and how many contradict each other.
    """
    rows = np.flatnonzero(match.matched_N).astype(np.int32)
    row_S = np.full(sources, NONE, np.int32)
    row_S[match.index_N[rows]] = rows
    others = rows[row_S[match.index_N[rows]] != rows]
    if not len(others):
        return row_S[row_S != NONE], 0, 0
    several_S = np.zeros(sources, bool)
    several_S[match.index_N[others]] = True
    rows = rows[several_S[match.index_N[rows]]]
    source = match.index_N[rows]
    order = np.lexsort((match.separation_N[rows], specz.source_M[rows], source))
    rows, source = rows[order], source[order]
    first = np.flatnonzero(np.diff(source, prepend=-1))
    sizes = np.diff(np.append(first, len(rows)))
    disagree = _conflicts(specz.z_M[rows], first)
    row_S[source[first]] = np.where(disagree, NONE, rows[first])
    return (
        row_S[row_S != NONE],
        int(np.sum(sizes[~disagree] - 1)),
        int(np.sum(sizes[disagree])),
    )


def _conflicts(z_K: NDArray[np.float64], first_G: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which groups of spec-z (each starting at ``first_G``) disagree among themselves."""
    low, high = np.minimum.reduceat(z_K, first_G), np.maximum.reduceat(z_K, first_G)
    return np.asarray(high - low > AGREEMENT * (1 + low))


def _unmatched(
    catalogue: Catalogue, specz: SpecSample, matched_M: NDArray[np.bool_], radius: float
) -> tuple[int, int]:
    """How many spec-z lie on the footprint, and how many unmatched ones on rows not selected.

    Of very many unmatched ones about `SAMPLE` are looked at, and the numbers are estimates.
    """
    unmatched = np.flatnonzero(~matched_M)
    looked_at = unmatched[:: max(1, len(unmatched) // SAMPLE)]
    if not len(looked_at):
        return len(specz), 0
    places = (specz.ra_M[looked_at], specz.dec_M[looked_at])
    # Thinned: the footprint does not need every source, and counting neighbours takes time.
    thin = slice(None, None, max(1, len(catalogue) // 200_000))
    near = match_positions(
        *places, catalogue.ra_N[thin], catalogue.dec_N[thin], FOOTPRINT_ARCSEC
    ).matched_N
    left_out = match_positions(*places, *catalogue.left_out, radius).matched_N
    near |= left_out
    each = len(unmatched) / len(looked_at)
    return int(matched_M.sum()) + round(near.sum() * each), round(left_out.sum() * each)


def _explain(
    catalogue: Catalogue, specz: SpecSample, radius: float, matched: int, in_footprint: int
) -> str:
    """Say how few matched, and what the positions look like, tried out on a sample."""
    message = f"no spec-z lies on the footprint of {catalogue.path}"
    if in_footprint:
        message = (
            f"only {matched} of {in_footprint} spec-z inside the footprint ({len(specz)} in all)"
            f" lie within {radius} arcsec of a source of {catalogue.path}"
        )
    step = max(1, len(specz) // SAMPLE)
    spec_places = (specz.ra_M[::step], specz.dec_M[::step])
    source_places = (catalogue.ra_N, catalogue.dec_N)
    for table, places, others in (
        ("spec-z table", spec_places, source_places),
        ("catalogue", source_places, spec_places),
    ):
        for problem, correct in _CORRECTIONS.items():
            match = match_positions(*correct(*places), *others, max(radius, 5.0))
            if match.matched_N.sum() > max(2 * matched, 2):
                return f"{message}: the positions of the {table} {problem}"
    return f"{message}: check that both tables cover the same sky, in degrees"
