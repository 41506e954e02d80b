"""Is the spectroscopic sample like the whole catalogue? Statistics weighted so that it is."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from photoz_run.science.representative import (
    cell_weights,
    effective_number,
    neighbour_weights,
    scaled,
    without_spectrum,
)
from photoz_run.science.statistics import Floats
from photoz_run.validation.catalogue import MAGNITUDES, SEEING, Catalogue
from photoz_run.validation.metrics import Group, Sample, measure
from photoz_run.validation.tables import Columns

FEWEST_MAGNITUDES = 3
"""Fewer magnitudes do not tell galaxies apart."""
FEWEST_PAIRS = 50
MOST_PAIRS, MOST_SOURCES = 20_000, 50_000
"""So many of each suffice, and take seconds."""


@dataclass(frozen=True)
class Representative:
    """How like the whole catalogue the pairs are, and their statistics if they were like it."""

    columns: tuple[str, ...]
    """In which galaxies are compared."""
    pairs: int
    weighted: tuple[Group, ...]
    """By nearest neighbours, and by the cells of a self-organising map."""
    effective: tuple[float, ...]
    """The effective number of spectra with either weights."""
    without: float
    """The share of the catalogue that no spectrum is like."""
    row_K: NDArray[np.int64] = field(repr=False)
    """The pairs that were compared, and their weights by nearest neighbours."""
    weight_K: Floats = field(repr=False)


def represent(
    catalogue: Catalogue, columns: Columns, pairs: Sample, seed: int = 0
) -> Representative | str:
    """Weigh the pairs to the magnitudes and seeing of the whole catalogue.

    Returns
    -------
    The reason why that cannot be told, where magnitudes or pairs are too few.
    """
    names = [name for name in (*MAGNITUDES, *SEEING) if name in columns]
    magnitudes = sum(name in MAGNITUDES for name in names)
    if magnitudes < FEWEST_MAGNITUDES:
        return f"the catalogue has {magnitudes} of the magnitudes MAG_GAAP_*"
    known = np.flatnonzero(np.isfinite(pairs.terms.z_phot_N))
    row_K = some_rows(known, MOST_PAIRS, seed)
    if len(row_K) < FEWEST_PAIRS:
        return f"{len(row_K)} pairs are too few"
    sources = catalogue.columns_of(
        some_rows(np.flatnonzero(np.isfinite(catalogue.z_N)), MOST_SOURCES, seed)
    )
    names = [name for name in names if name in sources]
    spec_KD, all_MD = scaled(
        np.column_stack([columns[name][row_K] for name in names]),
        np.column_stack([sources[name] for name in names]),
    )
    weights = {
        "weighted": neighbour_weights(spec_KD, all_MD),
        "weighted, cells": cell_weights(spec_KD, all_MD, seed),
    }
    return Representative(
        columns=tuple(names),
        pairs=len(row_K),
        weighted=tuple(_weighted(pairs.of(row_K), weights)),
        effective=tuple(effective_number(weight_K) for weight_K in weights.values()),
        without=float(without_spectrum(spec_KD, all_MD).mean()),
        row_K=row_K,
        weight_K=weights["weighted"],
    )


def some_rows(row_N: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many of the rows, drawn without order and put in order."""
    if len(row_N) <= most:
        return row_N
    return np.sort(np.random.default_rng(seed).choice(row_N, most, replace=False))


def _weighted(pairs: Sample, weights: dict[str, np.ndarray]) -> Iterator[Group]:
    """Every statistic with each of the weights, times those that the user named."""
    for label, weight_K in weights.items():
        own = pairs.terms.weight_N
        both = weight_K if own is None else weight_K * own
        n, estimates = measure(Sample(replace(pairs.terms, weight_N=both), pairs.resampling))
        yield Group("representative", label, n, estimates)
