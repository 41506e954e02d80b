"""Labelled galaxies: the arrays that networks are trained on, and how they are split."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photoz_models.documents import Record
from photoz_models.errors import TrainingError
from photoz_models.stamp_rule import StampRule
from photoz_models.training_settings import SplitName

SHARES = (0.70, 0.15, 0.15)
"""Training, validation and test share, as published."""

FEWEST = 1000
"""A set smaller than this is refused: a network would learn it by heart."""

ARRAYS = ("stamps_NCHW", "table_NT", "z_N", "tile_N")


@dataclass(frozen=True)
class SetFacts(Record):
    """What the arrays of a training set mean."""

    name: str
    simulated: bool
    rule: StampRule
    further_columns: tuple[str, ...] = ()
    """Columns of the table after those of the rule: what only a simulation knows."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the T columns of the table, in order."""
        return (*self.rule.table_columns, *self.further_columns)

    def narrowed(self, image_bands: tuple[str, ...], columns: tuple[str, ...]) -> "SetFacts":
        """The facts of the same galaxies with only these image bands and these columns."""
        further = tuple(name for name in columns if name in self.further_columns)
        rule = self.rule.narrowed(image_bands, columns)
        return replace(self, rule=rule, further_columns=further)


@dataclass(frozen=True)
class Examples:
    """Labelled galaxies.

    Attributes
    ----------
    stamps_NCHW
        Maggies; NaN where a pixel cannot be used.
    table_NT
        The numbers beside the stamps, one column for each of ``facts.columns``: magnitudes (AB),
        seeing (arcsec), further ones. NaN where missing.
    z_N
        True redshifts.
    tile_N
        The tile of each galaxy.
    """

    facts: SetFacts
    stamps_NCHW: NDArray[np.float32]
    table_NT: NDArray[np.float32]
    z_N: NDArray[np.float32]
    tile_N: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.z_N)

    @property
    def magnitudes_NB(self) -> NDArray[np.float32]:
        """The magnitudes of the table, a view."""
        return self.table_NT[:, : len(self.facts.rule.magnitude_bands)]

    @property
    def seeing_NS(self) -> NDArray[np.float32]:
        """The seeing in the table, a view."""
        first = len(self.facts.rule.magnitude_bands)
        return self.table_NT[:, first : first + len(self.facts.rule.seeing_bands)]

    def digest(self) -> str:
        """sha256 over all arrays."""
        digest = hashlib.sha256()
        for name in ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).data)
        return digest.hexdigest()

    def narrowed(self, image_bands: tuple[str, ...], columns: tuple[str, ...]) -> "Examples":
        """The same galaxies with only these image bands and columns of the table.

        The bands keep the order asked for; the columns are magnitudes, then seeing, then others.

        Raises
        ------
        TrainingError
            If the set lacks a band or a column.
        """
        facts = self.facts
        lacking = set(image_bands) - set(facts.rule.image_bands)
        lacking |= set(columns) - set(facts.columns)
        if lacking:
            names = ", ".join(sorted(lacking))
            raise TrainingError(f"training set {facts.name} has no band {names}")
        if image_bands == facts.rule.image_bands and columns == facts.columns:
            return self
        stamps_NCHW = self.stamps_NCHW
        if image_bands != facts.rule.image_bands:
            channels = [facts.rule.image_bands.index(band) for band in image_bands]
            stamps_NCHW = stamps_NCHW[:, channels]
        kept = facts.narrowed(image_bands, columns)
        places = [facts.columns.index(name) for name in kept.columns]
        return Examples(kept, stamps_NCHW, self.table_NT[:, places], self.z_N, self.tile_N)


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts."""

    train_N: NDArray[np.int64]
    validation_N: NDArray[np.int64]
    test_N: NDArray[np.int64]


def split_examples(examples: Examples, seed: int, by: SplitName) -> Split:
    """Split 70 : 15 : 15 at random, by galaxy or by whole tiles.

    By tile, no galaxy of a test tile is ever trained on.

    Raises
    ------
    TrainingError
        If the set is too small, holds NaN redshifts, or has too few tiles for a split by tile.
    """
    _check(examples)
    name = examples.facts.name
    unit_N = np.arange(len(examples))
    if by == "tile":
        unit_N = np.unique(examples.tile_N, return_inverse=True)[1]
    n_units = int(unit_N.max()) + 1
    if n_units < 3:
        raise TrainingError(f"training set {name} has {n_units} tiles; a split by tile needs three")
    order = np.random.default_rng(seed).permutation(n_units)
    size_U = np.bincount(unit_N, minlength=n_units)[order]
    share_U = size_U.cumsum() / len(examples)
    # The middle of a unit decides, so that each part gets at least its share of large tiles.
    middle_U = share_U - 0.5 * size_U / len(examples)
    part_U = np.empty(n_units, dtype=np.int64)
    part_U[order] = np.searchsorted(np.cumsum(SHARES[:2]), middle_U)
    parts = [np.flatnonzero(part_U[unit_N] == part) for part in range(3)]
    if any(len(part) == 0 for part in parts):
        raise TrainingError(
            f"training set {name}: a part of the split by {by} is empty; use more tiles"
        )
    return Split(*parts)


def _check(examples: Examples) -> None:
    name = examples.facts.name
    bad = int(np.count_nonzero(~np.isfinite(examples.z_N)))
    if len(examples) < FEWEST:
        raise TrainingError(
            f"training set {name} has {len(examples)} galaxies; at least {FEWEST} are needed"
        )
    if bad:
        raise TrainingError(
            f"training set {name} has {bad} redshifts that are not finite; remove these rows"
        )
