"""Weights with which a spectroscopic sample has the magnitudes of a whole catalogue."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from photoz_run.science.statistics import Floats

NEIGHBOURS = 20
"""Spectra in the ball in which densities are compared."""
FAR = 0.99
"""A source is far from all spectra if it is further than this share of spectra from others."""
SIDE, EPOCHS, LONGEST = 12, 12, 20_000
"""Cells along a side of the map, passes of its training, and sources that it is trained on."""


@dataclass(frozen=True)
class Space:
    """Magnitudes, seeing and size, in units of their scatter in the whole catalogue.

    A column without scatter tells nothing: it is not among the ``kept_C``.
    """

    kept_C: NDArray[np.bool_]
    centre_D: Floats
    scale_D: Floats

    def place(self, values_NC: ArrayLike) -> Floats:
        """Where galaxies lie, shape (N, D); a missing value lies at the median of the catalogue."""
        place_ND = np.asarray(values_NC, np.float64)[:, self.kept_C]
        place_ND = (place_ND - self.centre_D) / self.scale_D
        return np.where(np.isfinite(place_ND), place_ND, 0.0)

    def complete(self, values_NC: ArrayLike) -> NDArray[np.bool_]:
        """Galaxies of which every value is known."""
        values_ND = np.asarray(values_NC, np.float64)[:, self.kept_C]
        return np.asarray(np.isfinite(values_ND).all(axis=1))


def space_of(all_MC: ArrayLike) -> Space:
    """The space of a catalogue: its median is the centre, half of its central 68% the unit."""
    every = np.asarray(all_MC, np.float64)
    centre_C, low_C, high_C = np.full((3, every.shape[1]), np.nan)
    known = np.isfinite(every).any(axis=0)
    if known.any():
        levels = [0.16, 0.5, 0.84]
        low_C[known], centre_C[known], high_C[known] = np.nanquantile(every[:, known], levels, 0)
    kept_C = high_C > low_C
    return Space(kept_C, centre_C[kept_C], ((high_C - low_C) / 2)[kept_C])


def neighbour_weights(spec_ND: Floats, all_MD: Floats) -> Floats:
    """Weights of spectra from densities of their neighbours; their mean is 1.

    The number of sources of the catalogue in the ball that holds `NEIGHBOURS` spectra (Lima et al.
    2008, MNRAS 390, 118). All are 1 where nothing tells the spectra apart.
    """
    n, dimensions = spec_ND.shape
    if n < 2 or not dimensions:
        return np.ones(n)
    k = min(NEIGHBOURS, n - 1)
    # The nearest neighbour of a spectrum is itself.
    radius_N = np.asarray(cKDTree(spec_ND).query(spec_ND, k + 1)[0])[:, -1]
    number_N = cKDTree(all_MD).query_ball_point(spec_ND, radius_N, return_length=True)
    return _normalised(np.asarray(number_N, np.float64))


def cell_weights(spec_ND: Floats, all_MD: Floats, seed: int = 0) -> Floats:
    """Weights of spectra from the cells of a self-organising map; their mean is 1.

    Kohonen (1982), trained in batches on the catalogue; the weight of a spectrum is the number of
    sources over that of spectra in its cell (Masters et al. 2015, ApJ 813, 53).
    """
    n, dimensions = spec_ND.shape
    if n < 2 or not dimensions:
        return np.ones(n)
    codes_KD = train_map(all_MD, seed)
    tree = cKDTree(codes_KD)
    spec_cell_N, all_cell_M = (np.asarray(tree.query(part)[1]) for part in (spec_ND, all_MD))
    spec_K, all_K = (np.bincount(part, minlength=SIDE**2) for part in (spec_cell_N, all_cell_M))
    return _normalised((all_K / np.maximum(spec_K, 1))[spec_cell_N])


def train_map(all_MD: Floats, seed: int = 0) -> Floats:
    """The positions of the cells of a self-organising map, shape (SIDE^2, D)."""
    dice = np.random.default_rng(seed)
    some_MD = dice.permutation(all_MD)[:LONGEST]
    codes_KD = some_MD[dice.integers(0, len(some_MD), SIDE**2)].copy()
    place_K2 = np.stack(np.divmod(np.arange(SIDE**2), SIDE), axis=1)
    apart_KK = np.sum((place_K2[:, None] - place_K2[None]) ** 2, axis=2)
    for width in np.geomspace(SIDE / 3, 0.5, EPOCHS):
        cell_M = np.asarray(cKDTree(codes_KD).query(some_MD)[1])
        number_K = np.bincount(cell_M, minlength=SIDE**2)
        sums_DK = [np.bincount(cell_M, column, SIDE**2) for column in some_MD.T]
        pull_KK = np.exp(-apart_KK / (2 * width**2))
        codes_KD = (pull_KK @ np.transpose(sums_DK)) / (pull_KK @ number_K)[:, None]
    return codes_KD


@dataclass(frozen=True)
class Spectra:
    """Where spectra lie, and how far from the nearest of them a source is still like it."""

    tree: cKDTree | None = field(repr=False)
    limit: float

    def lack(self, all_MD: Floats) -> NDArray[np.bool_]:
        """Sources that no spectrum is like."""
        if self.tree is None:
            return np.zeros(len(all_MD), bool)
        return np.asarray(self.tree.query(all_MD)[0] > self.limit)


def spectra_at(spec_ND: Floats) -> Spectra:
    """Spectra reach as far as `FAR` of them lie from each other.

    Nothing tells how far a single one reaches: it is like every source.
    """
    if len(spec_ND) < 2 or not spec_ND.shape[1]:
        return Spectra(None, np.inf)
    tree = cKDTree(spec_ND)
    apart_N = np.asarray(tree.query(spec_ND, 2)[0])[:, 1]
    return Spectra(tree, float(np.quantile(apart_N, FAR)))


def effective_number(weight_N: ArrayLike) -> float:
    """The number of equal weights that average as well, ``(sum w)^2 / sum w^2``."""
    weight = np.asarray(weight_N, np.float64)
    square = float(np.sum(weight**2))
    return float(weight.sum()) ** 2 / square if square > 0 else 0.0


def _normalised(weight_N: Floats) -> Floats:
    total = weight_N.sum()
    return weight_N * (len(weight_N) / total) if total > 0 else np.ones(len(weight_N))
