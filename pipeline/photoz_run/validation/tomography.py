"""n(z) in tomographic bins: predicted for the catalogue, and as the weighted spectra have it."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from photoz_run.science.representative import effective_number
from photoz_run.science.resampling import Resampling, errors_in, resample
from photoz_run.science.statistics import Floats
from photoz_run.science.tomography import (
    Stack,
    by_mass,
    by_point,
    densities,
    equal_edges,
    histogram,
    stack,
)
from photoz_run.validation.catalogue import INTERVALS, QUANTILES, Catalogue
from photoz_run.validation.grouping import group_pairs
from photoz_run.validation.metrics import Estimate, errors_of
from photoz_run.validation.representative import (
    MOST_PAIRS,
    MOST_SOURCES,
    Representative,
    some_rows,
)
from photoz_run.validation.settings import TomographySettings, ValidationSettings
from photoz_run.validation.tables import Columns
from photoz_run.validation.uncertainty import quantiles_of

CELL = 0.005
"""Width of the cells of n(z) in redshift, at least."""
MOST_CELLS = 400


@dataclass(frozen=True)
class TomographicBin:
    """One bin; means and widths (standard deviations) have errors over tiles."""

    low: float
    high: float
    sources: int
    """Of the catalogue, or of a sample of it."""
    galaxies: int
    """With spec-z."""
    effective: float
    """The effective number of these, weighted."""
    mean_predicted: Estimate
    mean_spectroscopic: Estimate
    mean_difference: Estimate
    """Predicted minus spectroscopic; the errors of both are added."""
    width_predicted: Estimate
    width_spectroscopic: Estimate
    same_galaxies: Estimate
    """Mean predicted minus mean spectroscopic redshift of the galaxies with spec-z, paired."""

    @property
    def label(self) -> str:
        """The range of the bin."""
        return f"{self.low:.3g} to {self.high:.3g}"


@dataclass(frozen=True)
class Tomography:
    """Redshift distributions in tomographic bins."""

    assigned: str
    """How galaxies are assigned, in words."""
    source: str
    """From which quantiles n(z) is predicted."""
    weights: str
    """How the spectra are weighted."""
    bins: tuple[TomographicBin, ...]
    grid_G: Floats = field(repr=False)
    predicted_BK: Floats = field(repr=False)
    spectroscopic_BK: Floats = field(repr=False)
    """Densities between the edges of the grid; each integrates to 1, 0 for a bin without any."""

    @property
    def notes(self) -> list[str]:
        """Which bins are empty, in words."""
        notes = []
        for part in self.bins:
            if not min(part.sources, part.galaxies):
                kind = "spectrum" if part.sources else "source"
                notes.append(f"no {kind} lies in the tomographic bin {part.label}")
        return notes


@dataclass(frozen=True)
class _Galaxies:
    """Galaxies with their distributions and the bin of each."""

    z_N: Floats
    quantiles_NQ: Floats
    levels_Q: Floats
    source: str
    bin_N: NDArray[np.int64]

    def stacked(self, bins: int, grid_G: Floats) -> Stack:
        return stack(self.quantiles_NQ, self.levels_Q, self.bin_N, bins, grid_G)


def tomography(
    catalogue: Catalogue,
    columns: Columns,
    resampling: Resampling,
    representative: Representative | None,
    settings: ValidationSettings,
) -> Tomography | str:
    """Predict n(z) from quantiles in each bin, and compare it with that of the spectra.

    ``columns`` and ``resampling`` are those of the pairs. Spectra have the weights that make them
    like the catalogue, where these are known.

    Returns
    -------
    The reason why that cannot be told, where the catalogue has no distributions.
    """
    edges_E = _edges(catalogue.z_N, settings.tomography)
    if len(edges_E) < 2:
        return "the catalogue has one redshift only"
    known = np.flatnonzero(np.isfinite(catalogue.z_N))
    index_M = some_rows(known, MOST_SOURCES, settings.seed)
    of_sources = catalogue.columns_of(index_M, [QUANTILES, *INTERVALS, "KIDS_TILE"])
    row_K, weight_K, words = _weights(columns, representative, settings)
    of_pairs = {name: values[row_K] for name, values in columns.items()}
    parts = [
        _galaxies(part, catalogue.levels_Q, edges_E, settings.tomography)
        for part in (of_sources, of_pairs)
    ]
    every, pairs = parts
    if every is None or pairs is None:
        return "the catalogue has neither quantiles nor intervals"
    grid_G = _grid(np.concatenate([every.z_N, of_pairs["Z_SPEC"]]))
    bins = len(edges_E) - 1
    predicted, own = every.stacked(bins, grid_G), pairs.stacked(bins, grid_G)
    groups = resample(group_pairs(of_sources).group_N, seed=settings.seed)
    spectra = _Spectra(
        of_pairs["Z_SPEC"].astype(np.float64), own.mean_N, weight_K, resampling.of(row_K)
    )
    measured = [
        _bin(ends, predicted, every.bin_N == k, groups, spectra, pairs.bin_N == k)
        for k, ends in enumerate(pairwise(edges_E.tolist()))
    ]
    return Tomography(
        assigned=_assigned(settings.tomography),
        source=every.source,
        weights=words,
        bins=tuple(measured),
        grid_G=grid_G,
        predicted_BK=predicted.density_BK,
        spectroscopic_BK=histogram(of_pairs["Z_SPEC"], weight_K, pairs.bin_N, bins, grid_G),
    )


@dataclass(frozen=True)
class _Spectra:
    """Galaxies with spec-z, the means of their predicted distributions, and their weights."""

    z_K: Floats
    predicted_K: Floats
    weight_K: Floats
    resampling: Resampling


def _bin(
    ends: tuple[float, float],
    predicted: Stack,
    source_in_bin: NDArray[np.bool_],
    groups: Resampling,
    spectra: _Spectra,
    in_bin: NDArray[np.bool_],
) -> TomographicBin:
    """Compare the sources of a bin with its spectra."""
    z_K, weight_K = spectra.z_K[in_bin], spectra.weight_K[in_bin]
    mean, width = _moments(
        predicted.mean_N[source_in_bin], predicted.square_N[source_in_bin], groups.of(source_in_bin)
    )
    here = spectra.resampling.of(in_bin)
    spec_mean, spec_width = _moments(z_K, z_K**2, here, weight_K)
    return TomographicBin(
        *ends,
        sources=int(source_in_bin.sum()),
        galaxies=int(in_bin.sum()),
        effective=effective_number(weight_K),
        mean_predicted=mean,
        mean_spectroscopic=spec_mean,
        mean_difference=_difference(mean, spec_mean),
        width_predicted=width,
        width_spectroscopic=spec_width,
        same_galaxies=errors_of(errors_in(here, [spectra.predicted_K[in_bin] - z_K])),
    )


def _edges(z_N: Floats, settings: TomographySettings) -> Floats:
    return np.array(settings.edges) if settings.edges else equal_edges(z_N, settings.bins)


def _assigned(settings: TomographySettings) -> str:
    how = "Z_PHOT" if settings.by == "point" else "most of the predicted distribution"
    edges = "edges as given" if settings.edges else "bins of equal numbers"
    return f"by {how}, {edges}"


def _galaxies(
    columns: Columns, levels_Q: Floats, edges_E: Floats, settings: TomographySettings
) -> _Galaxies | None:
    """Galaxies with their bins; None where there are no distributions."""
    chosen = quantiles_of(columns, levels_Q, None)
    if chosen is None:
        return None
    source, _, quantiles_NQ, levels = chosen
    z_N = columns["Z_PHOT"].astype(np.float64)
    if settings.by == "mass":
        bin_N = by_mass(quantiles_NQ, levels, edges_E)
    else:
        bin_N = by_point(z_N, edges_E)
    return _Galaxies(z_N, quantiles_NQ, levels, source, bin_N)


def _weights(
    columns: Columns, representative: Representative | None, settings: ValidationSettings
) -> tuple[NDArray[np.int64], Floats, str]:
    """Which pairs are used, their weights, and these in words."""
    if representative is None:
        known = np.flatnonzero(np.isfinite(columns["Z_PHOT"]))
        row_K, words = some_rows(known, MOST_PAIRS, settings.seed), "all alike"
        weight_K = np.ones(len(row_K))
    else:
        row_K, words = (
            np.flatnonzero(representative.like_N),
            "to the whole catalogue, by nearest neighbours",
        )
        weight_K = representative.like_N[row_K]
    if settings.weight:
        weight_K = weight_K * np.nan_to_num(columns[settings.weight][row_K].astype(np.float64))
        words = f"{words}, times {settings.weight}"
    return row_K, weight_K, words


def _grid(z_N: Floats) -> Floats:
    """Edges of cells from 0 beyond nearly all redshifts."""
    top = 1.3 * float(np.nanquantile(z_N, 0.999)) + 0.1
    cells = min(int(np.ceil(top / CELL)), MOST_CELLS)
    return np.linspace(0, max(top, cells * CELL), cells + 1)


def _moments(
    mean_N: Floats, square_N: Floats, groups: Resampling, weight_N: Floats | None = None
) -> tuple[Estimate, Estimate]:
    """Mean and standard deviation of n(z), with errors over groups."""

    def width(mean: Floats, square: Floats) -> Floats:
        return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)))

    centre = errors_in(groups, [mean_N], weight_N=weight_N)
    return errors_of(centre), errors_of(errors_in(groups, [mean_N, square_N], width, weight_N))


def _difference(a: Estimate, b: Estimate) -> Estimate:
    """The difference of two numbers that were measured on other galaxies."""
    value = a.value - b.value
    error = float(np.hypot(a.error, b.error))
    by_galaxy = float(np.hypot(a.by_galaxy, b.by_galaxy))
    return Estimate(value, value - error, value + error, by_galaxy, min(a.groups, b.groups))


def coarse(density_BK: Floats, grid_G: Floats, cells: int) -> tuple[Floats, Floats]:
    """Densities in wider cells, for a drawing: those of few spectra are noisy in narrow ones."""
    step = max(1, (len(grid_G) - 1) // cells)
    wide_G = grid_G[::step]
    mass_BK = density_BK * np.diff(grid_G)
    starts = np.arange(0, (len(wide_G) - 1) * step, step)
    summed_BK = np.add.reduceat(mass_BK[:, : (len(wide_G) - 1) * step], starts, axis=1)
    return densities(summed_BK, wide_G), wide_G
