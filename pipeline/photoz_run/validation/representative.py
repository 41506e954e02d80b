"""Is the spectroscopic sample like the whole catalogue? Statistics weighted so that it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from photoz_run.science.representative import (
    Space,
    Spectra,
    cell_weights,
    neighbour_weights,
    space_of,
    spectra_at,
)
from photoz_run.science.statistics import Floats
from photoz_run.validation.breakdowns import CONTINUOUS, Bin, number_bins, value_bins
from photoz_run.validation.catalogue import MAGNITUDES, SEEING, SIZE, Catalogue
from photoz_run.validation.metrics import Estimate, Sample, measure
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.tables import Columns

FEWEST_MAGNITUDES = 3
"""Fewer magnitudes do not tell galaxies apart."""
FEWEST_PAIRS = 50
MOST_MISSING = 0.1
"""Share of the sources without a value beyond which a column is not compared."""
MOST_PAIRS, MOST_SOURCES = 20_000, 50_000
"""So many of each suffice, and take seconds."""


@dataclass(frozen=True)
class Lacking:
    """Sources of one bin, and the share of them that no spectrum is like."""

    label: str
    sources: int
    share: float
    low_edge: float = float("nan")
    high_edge: float = float("nan")


@dataclass(frozen=True)
class LackingMap:
    """Which sources of the catalogue no spectrum is like, by r magnitude and tile.

    The numbers are those of a sample of the catalogue; tiles are in the order of ``tiles``, bins of
    magnitude in that of ``magnitudes``. Both are empty where their column is not known.
    """

    magnitudes: tuple[Lacking, ...]
    tiles: tuple[Lacking, ...]
    sources_TM: NDArray[np.int64] = field(repr=False)
    lacking_TM: NDArray[np.int64] = field(repr=False)
    sources: Columns = field(repr=False)
    """Position and tile of the sources."""


@dataclass(frozen=True)
class Likeness:
    """Where the spectra lie among the sources of the catalogue."""

    columns: tuple[str, ...]
    """In which galaxies are compared."""
    space: Space = field(repr=False)
    spectra: Spectra = field(repr=False)

    def lacking(self, columns: Columns) -> NDArray[np.float64]:
        """1 for a source that no spectrum is like, 0 for others; NaN where a value is missing."""
        values_NC = np.column_stack([columns[name] for name in self.columns])
        lacking_N = self.spectra.lack(self.space.place(values_NC))
        return np.where(self.space.complete(values_NC), lacking_N, np.nan)


@dataclass(frozen=True)
class Representative:
    """How like the whole catalogue the pairs are, and their statistics if they were like it."""

    likeness: Likeness
    pairs: int
    """How many were compared."""
    by_cells: Mapping[str, Estimate]
    """Statistics of all pairs, weighted by the cells of a self-organising map."""
    effective_by_cells: float
    lacking: float
    """The share of the catalogue that no spectrum is like."""
    map: LackingMap
    like_N: Floats = field(repr=False)
    """Weights of the pairs by nearest neighbours; 0 for those that were not compared."""


def represent(
    catalogue: Catalogue, columns: Columns, pairs: Sample, settings: ValidationSettings
) -> Representative | str:
    """Weigh the pairs to the magnitudes, the seeing and the size of the whole catalogue.

    Returns
    -------
    The reason why that cannot be told, where magnitudes or pairs are too few.
    """
    names = [name for name in (*MAGNITUDES, *SEEING, *SIZE) if name in columns]
    magnitudes = sum(name in MAGNITUDES for name in names)
    if magnitudes < FEWEST_MAGNITUDES:
        return f"the catalogue has {magnitudes} of the magnitudes MAG_GAAP_*"
    known = np.flatnonzero(np.isfinite(pairs.terms.z_phot_N))
    row_K = some_rows(known, MOST_PAIRS, settings.seed)
    if len(row_K) < FEWEST_PAIRS:
        return f"{len(row_K)} pairs are too few"
    index_M = some_rows(np.flatnonzero(np.isfinite(catalogue.z_N)), MOST_SOURCES, settings.seed)
    sources = catalogue.columns_of(index_M, [*names, CONTINUOUS["r"], "KIDS_TILE"])
    names = [name for name in names if _is_known(sources.get(name))]
    if sum(name in MAGNITUDES for name in names) < FEWEST_MAGNITUDES:
        return f"too many sources lack magnitudes: {', '.join(names) or 'none'} can be compared"
    all_MC = np.column_stack([sources[name] for name in names])
    space = space_of(all_MC)
    if not space.kept_C.any():
        return "all sources have the same magnitudes"
    all_MD = space.place(all_MC)
    spec_KD = space.place(np.column_stack([columns[name][row_K] for name in names]))
    likeness = Likeness(tuple(names), space, spectra_at(spec_KD))
    like_N = np.zeros(len(columns["Z_SPEC"]))
    like_N[row_K] = neighbour_weights(spec_KD, all_MD)
    in_cells = pairs.of(row_K).times(cell_weights(spec_KD, all_MD, settings.seed))
    lacking_M = likeness.lacking(sources)
    return Representative(
        likeness=likeness,
        pairs=len(row_K),
        by_cells=measure(in_cells),
        effective_by_cells=in_cells.effective,
        lacking=_share(lacking_M),
        map=_map(sources, lacking_M, settings),
        like_N=like_N,
    )


def _is_known(values_M: NDArray[np.float64] | None) -> bool:
    """Whether nearly all sources have a value; else their places would be made up."""
    return values_M is not None and bool(np.mean(~np.isfinite(values_M)) <= MOST_MISSING)


def some_rows(row_N: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many of the rows, drawn without order and put in order."""
    if len(row_N) <= most:
        return row_N
    return np.sort(np.random.default_rng(seed).choice(row_N, most, replace=False))


def _share(lacking_M: Floats) -> float:
    known_M = lacking_M[np.isfinite(lacking_M)]
    return float(known_M.mean()) if len(known_M) else float("nan")


def _map(sources: Columns, lacking_M: Floats, settings: ValidationSettings) -> LackingMap:
    """The share of sources without a spectrum, by magnitude, by tile, and by both."""
    known_M = np.isfinite(lacking_M)
    here = {name: values[known_M] for name, values in sources.items()}
    lacking_N = lacking_M[known_M] > 0
    magnitudes = number_bins(here, CONTINUOUS["r"], settings.bins, settings.edges.get("r"))
    parts_M = [] if isinstance(magnitudes, str) else magnitudes
    parts_T = value_bins(here["KIDS_TILE"]) if "KIDS_TILE" in here else []
    magnitude_N, tile_N = (_places(parts, len(lacking_N)) for parts in (parts_M, parts_T))
    sources_TM, lacking_TM = np.zeros((2, len(parts_T), len(parts_M)), np.int64)
    inside_N = (magnitude_N >= 0) & (tile_N >= 0)
    cells = tile_N[inside_N], magnitude_N[inside_N]
    np.add.at(sources_TM, cells, 1)
    np.add.at(lacking_TM, cells, lacking_N[inside_N])
    return LackingMap(
        tuple(_lacking(part, lacking_N) for part in parts_M),
        tuple(_lacking(part, lacking_N) for part in parts_T),
        sources_TM,
        lacking_TM,
        {name: here[name] for name in ("RA", "DEC", "KIDS_TILE") if name in here},
    )


def _places(parts: Sequence[Bin], number: int) -> NDArray[np.int64]:
    """The bin of each source; -1 outside."""
    bin_N = np.full(number, -1)
    for k, part in enumerate(parts):
        bin_N[part.rows] = k
    return bin_N


def _lacking(part: Bin, lacking_N: NDArray[np.bool_]) -> Lacking:
    share = float(lacking_N[part.rows].mean())
    return Lacking(part.label, len(part.rows), share, part.low_edge, part.high_edge)
