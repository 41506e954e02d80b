"""A training set from survey tiles and spec-z, cut by the code that cuts for a run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photoz_models.examples import Examples, SetFacts
from photoz_models.stamp_rule import StampRule, column_names
from photoz_run.config import RunConfig
from photoz_run.errors import BadDataError, context
from photoz_run.records import Sources, TileRef
from photoz_run.science.matching import match_positions
from photoz_run.tile import open_tile

MATCH_RADIUS = 1.0
"""arcsec"""


@dataclass(frozen=True)
class Redshifts:
    """Spectroscopic redshifts to match by position: degrees, and z."""

    ra_M: NDArray[np.float64]
    dec_M: NDArray[np.float64]
    z_M: NDArray[np.float64]


def training_rule(
    image_bands: tuple[str, ...],
    magnitude_bands: tuple[str, ...],
    stamp_size: int = 36,
) -> StampRule:
    """Stamps for the project's own networks: calibrated with DMAG, corrected for extinction."""
    return StampRule(
        image_bands=image_bands,
        magnitude_bands=magnitude_bands,
        stamp_size=stamp_size,
        pixel_scale=0.2,
        dmag_applied=True,
        extinction_corrected=True,
        seeing_bands=image_bands,
    )


def build_training_set(
    tiles: Iterable[TileRef],
    redshifts: Redshifts,
    config: RunConfig,
    facts: SetFacts,
) -> Iterator[tuple[Examples, NDArray[np.intp]]]:
    """Tile by tile the selected sources with a spec-z within 1 arcsec, and the rows of the spec-z.

    Of several spec-z within the radius the nearest counts. A spec-z serves only one source, even
    where tiles overlap. A tile without any such source is passed over.

    Raises
    ------
    BadDataError
        If a file of a tile is bad.
    """
    free_M = np.ones(len(redshifts.z_M), dtype=bool)
    for ref in tiles:
        with context(ref.tile), open_tile(ref, facts.rule, config) as tile:
            rows_N, spec_N = _matches(tile.sources, redshifts, np.flatnonzero(free_M))
            if len(rows_N) == 0:
                continue
            free_M[spec_N] = False
            batches = list(tile.take(rows_N).batches())
        examples = Examples(
            facts,
            np.concatenate([stamps.flux_NCHW for _, stamps in batches]),
            np.concatenate([stamps.beside(sources.magnitudes_NB) for sources, stamps in batches]),
            redshifts.z_M[spec_N].astype(np.float32),
            np.full(len(rows_N), ref.tile),
        )
        yield examples, spec_N


def join_examples(name: str, parts: list[Examples]) -> Examples:
    """One set called ``name`` from the parts; seeing that no header knows is left out.

    Raises
    ------
    BadDataError
        If there is none: no selected source has a spec-z.
    """
    if not parts:
        raise BadDataError(
            f"no selected source has a spec-z within {MATCH_RADIUS} arcsec;"
            " check that both cover the same sky, that positions are in degrees,"
            " and the quality cut"
        )
    joined = Examples(
        replace(parts[0].facts, name=name),
        np.concatenate([part.stamps_NCHW for part in parts]),
        np.concatenate([part.table_NT for part in parts]),
        np.concatenate([part.z_N for part in parts]),
        np.concatenate([part.tile_N for part in parts]),
    )
    rule = joined.facts.rule
    unknown_S = np.all(np.isnan(joined.seeing_NS), axis=0).tolist()
    named = zip(rule.seeing_bands, unknown_S, strict=True)
    known = tuple(band for band, unknown in named if not unknown)
    return joined.narrowed(rule.image_bands, column_names(rule.magnitude_bands, known))


def _matches(
    sources: Sources, redshifts: Redshifts, free_K: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of sources, in order, and the row of the spec-z of each, among those still free."""
    match = match_positions(
        sources.ra_N, sources.dec_N, redshifts.ra_M[free_K], redshifts.dec_M[free_K], MATCH_RADIUS
    )
    matched_K = np.flatnonzero(match.matched_N)
    by_distance_K = matched_K[np.argsort(match.separation_N[matched_K], kind="stable")]
    _, first_K = np.unique(match.index_N[by_distance_K], return_index=True)
    rows_K = np.sort(by_distance_K[first_K])
    return rows_K, free_K[match.index_N[rows_K]]
