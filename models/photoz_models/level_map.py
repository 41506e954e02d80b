"""Quantiles that cover what they promise, at each magnitude: a map of their levels.

The map takes the level of a quantile to the level at which the bundle's own quantiles have that
coverage on labelled galaxies. It is one matrix of `level_matrix` at each of some magnitudes in r.
Between them quantiles are interpolated, so they never decrease: each matrix gives quantiles that do
not, and so does a mean of such.

Axes: N galaxies, Q quantiles, K knots in magnitude and, last, one for galaxies without magnitude.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_models.calibration import level_matrix
from photoz_models.contract import ModelContract
from photoz_models.errors import BundleError

BAND = "r"
"""The magnitude by which the map is conditioned: KiDS detects and selects in it."""

FEWEST = 200
"""Galaxies with which quantiles can be calibrated: the outermost levels are 0.01 and 0.99."""

PER_KNOT, MOST_KNOTS = 1000, 8
"""So many galaxies give the share within an interval to 1.5%."""

FAINTEST = 50.0
"""Magnitudes at or beyond this are codes for missing ones, as in the network's first layer."""

FOLDS, BINS = 5, 4
"""Parts of the tiles that are held out in turn, and bins of magnitude in which that is measured."""

INTERVALS = {"coverage_68": (0.16, 0.84), "coverage_95": (0.025, 0.975)}

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledQuantiles:
    """Galaxies with a known redshift, and what the bundle says of them.

    ``r_N`` is NaN where the magnitude is missing; ``name`` and ``digest`` say where they are from.
    """

    quantiles_NQ: NDArray[np.floating]
    z_N: NDArray[np.floating]
    r_N: NDArray[np.floating]
    tile_N: NDArray[Any]
    name: str
    digest: str

    def __len__(self) -> int:
        return len(self.z_N)

    def of(self, rows: NDArray[Any]) -> "LabelledQuantiles":
        """Some of the galaxies."""
        return replace(
            self,
            quantiles_NQ=self.quantiles_NQ[rows],
            z_N=self.z_N[rows],
            r_N=self.r_N[rows],
            tile_N=self.tile_N[rows],
        )

    def usable(self) -> "LabelledQuantiles":
        """Those of which redshift and quantiles are known."""
        return self.of(np.isfinite(self.z_N) & np.isfinite(self.quantiles_NQ).all(axis=1))


@dataclass(frozen=True)
class LevelMap:
    """The matrices at the knots (magnitudes, increasing), then that of galaxies without one."""

    knots: tuple[float, ...]
    matrices_KQQ: Floats

    def of(self, quantiles_NQ: NDArray[np.floating], r_N: NDArray[np.floating]) -> Floats:
        """The recalibrated quantiles: what the nodes in the graph give."""
        each_KNQ = np.asarray(quantiles_NQ, np.float64) @ self.matrices_KQQ.transpose(0, 2, 1)
        return np.asarray(np.einsum("nk,knq->nq", self.shares(r_N), each_KNQ))

    def shares(self, r_N: NDArray[np.floating]) -> Floats:
        """How much each matrix counts for each galaxy, shape (N, K); they sum to 1."""
        return shares_of_knots(r_N, self.knots)


@dataclass(frozen=True)
class HeldOut:
    """Coverage on tiles that the map was not fitted to, of all galaxies and in bins of r."""

    label: str
    number: int
    before: dict[str, float]
    after: dict[str, float]


def shares_of_knots(r_N: NDArray[np.floating], knots: tuple[float, ...]) -> Floats:
    """Hats between the knots, constant beyond them, and in the last column 1 without magnitude."""
    r = np.asarray(r_N, np.float64)
    known_N = np.abs(r) < FAINTEST
    if not knots:
        return np.ones((len(r), 1))
    filled_N = np.where(known_N, r, knots[0])
    hats_NK = np.column_stack([np.interp(filled_N, knots, hat) for hat in np.eye(len(knots))])
    return np.column_stack([hats_NK * known_N[:, None], ~known_N])


def fit(labelled: LabelledQuantiles, levels: tuple[float, ...]) -> LevelMap:
    """The map that gives quantiles the coverage that they promise, at each magnitude.

    Raises
    ------
    BundleError
        If there are too few galaxies.
    """
    if len(labelled) < FEWEST:
        raise BundleError(
            f"{labelled.name} has {len(labelled)} galaxies with redshift and quantiles; at least"
            f" {FEWEST} are needed to recalibrate"
        )
    knots = _knots(labelled.r_N)
    data = labelled.quantiles_NQ, labelled.z_N, levels
    share_NK = shares_of_knots(labelled.r_N, knots)
    at_knots = [level_matrix(*data, share_N) for share_N in share_NK.T[: len(knots)]]
    return LevelMap(knots, np.array([*at_knots, level_matrix(*data)]))


def _knots(r_N: NDArray[np.floating]) -> tuple[float, ...]:
    """Magnitudes in the middle of bins of equal number; none if there are too few galaxies."""
    known_N = np.abs(r_N) < FAINTEST
    number = min(int(np.count_nonzero(known_N)) // PER_KNOT, MOST_KNOTS)
    if not number:
        return ()
    middles = (np.arange(number) + 0.5) / number
    return tuple(np.unique(np.quantile(r_N[known_N].astype(np.float64), middles)).tolist())


def held_out(labelled: LabelledQuantiles, levels: tuple[float, ...]) -> list[HeldOut]:
    """How often intervals hold the redshift, where the map is fitted to other tiles only.

    Returns
    -------
    First of all galaxies, then by magnitude; empty if all lie in one tile.
    """
    mapped_NQ = np.full(labelled.quantiles_NQ.shape, np.nan)
    for rest_N, part_N in _folds(labelled.tile_N):
        if np.count_nonzero(rest_N) < FEWEST:
            return []
        part = labelled.of(part_N)
        mapped_NQ[part_N] = fit(labelled.of(rest_N), levels).of(part.quantiles_NQ, part.r_N)
    if np.isnan(mapped_NQ).any():
        return []
    inside = [
        _inside(quantiles_NQ, labelled.z_N, levels)
        for quantiles_NQ in (labelled.quantiles_NQ, mapped_NQ)
    ]
    measured = []
    for label, rows in _bins(labelled.r_N):
        before, after = (
            {name: float(inside_N[rows].mean()) for name, inside_N in part.items()}
            for part in inside
        )
        measured.append(HeldOut(label, int(np.count_nonzero(rows)), before, after))
    return measured


def _folds(tile_N: NDArray[Any]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Galaxies to fit to and galaxies to measure on, in whole tiles; nothing for one tile."""
    place_N = np.unique(tile_N, return_inverse=True)[1]
    tiles = int(place_N.max(initial=-1)) + 1
    if tiles < 2:
        return
    fold_T = np.random.default_rng(0).permutation(tiles) % FOLDS
    for fold in np.unique(fold_T):
        part_N = fold_T[place_N] == fold
        yield ~part_N, part_N


def _inside(
    quantiles_NQ: NDArray[np.floating], z_N: NDArray[np.floating], levels: tuple[float, ...]
) -> dict[str, NDArray[np.bool_]]:
    """Whether intervals hold the redshift; an end is linear between its neighbouring levels."""
    inside = {}
    for name, ends in INTERVALS.items():
        if levels[0] <= ends[0] and ends[1] <= levels[-1]:
            rows = [[np.interp(end, levels, row) for row in np.eye(len(levels))] for end in ends]
            low_N, high_N = (quantiles_NQ @ np.array(row) for row in rows)
            inside[name] = (low_N <= z_N) & (z_N <= high_N)
    return inside


def _bins(r_N: NDArray[np.floating]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    yield "all", np.ones(len(r_N), bool)
    known_N = np.abs(r_N) < FAINTEST
    number = min(BINS, int(np.count_nonzero(known_N)) // PER_KNOT)
    if number < 2:
        return
    edges = np.unique(np.quantile(r_N[known_N].astype(np.float64), np.linspace(0, 1, number + 1)))
    place_N = np.digitize(r_N, edges[1:-1])
    for k, (low, high) in enumerate(pairwise(edges)):
        yield f"{BAND} {low:.2f} to {high:.2f}", known_N & (place_N == k)


def digest_of(*arrays: NDArray[Any]) -> str:
    """sha256 over arrays of numbers."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def magnitudes_for(contract: ModelContract, r_N: Floats) -> Floats:
    """The magnitudes by which a bundle can be conditioned: missing if it reads none in r."""
    return r_N if BAND in contract.magnitude_bands else np.full(len(r_N), np.nan)
