"""Labelled galaxies: the arrays that networks are trained on, their file form, and how they are split."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from photoz_models.errors import TrainingError

SplitName = Literal["galaxy", "tile"]

SHARES = (0.70, 0.15, 0.15)
"""Training, validation and test share, as published."""

FEWEST = 1000
"""A set smaller than this is refused: a network would learn it by heart."""

ARRAYS = ("stamps_NCHW", "magnitudes_NB", "z_N", "tile_N")


@dataclass(frozen=True)
class SetFacts:
    """What the arrays of a training set mean.

    After the bands of ``magnitudes_NB`` may come columns ``seeing_<band>``: FWHM of the tile's coadd in arcsec.
    """

    name: str
    simulated: bool
    image_bands: tuple[str, ...]
    magnitude_bands: tuple[str, ...]
    pixel_scale: float
    dmag_applied: bool
    extinction_corrected: bool
    i_epoch: str = "first"


@dataclass(frozen=True)
class Examples:
    """Stamps in maggies (NaN = unusable), magnitudes (NaN = missing), true redshifts, and the tile of each galaxy."""

    facts: SetFacts
    stamps_NCHW: NDArray[np.float32]
    magnitudes_NB: NDArray[np.float32]
    z_N: NDArray[np.float32]
    tile_N: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.z_N)

    def digest(self) -> str:
        """sha256 over all arrays."""
        digest = hashlib.sha256()
        for name in ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).data)
        return digest.hexdigest()

    def in_bands(
        self, image_bands: tuple[str, ...], magnitude_bands: tuple[str, ...]
    ) -> "Examples":
        """The same galaxies with only these bands, in this order.

        Raises
        ------
        TrainingError
            If the set lacks a band.
        """
        facts = self.facts
        lacking = (set(image_bands) - set(facts.image_bands)) | (
            set(magnitude_bands) - set(facts.magnitude_bands)
        )
        if lacking:
            raise TrainingError(
                f"training set {facts.name} has no band {', '.join(sorted(lacking))}"
            )
        if image_bands == facts.image_bands and magnitude_bands == facts.magnitude_bands:
            return self
        stamps_NCHW = self.stamps_NCHW
        if image_bands != facts.image_bands:
            stamps_NCHW = stamps_NCHW[:, [facts.image_bands.index(band) for band in image_bands]]
        return Examples(
            SetFacts(
                **{**asdict(facts), "image_bands": image_bands, "magnitude_bands": magnitude_bands}
            ),
            stamps_NCHW,
            self.magnitudes_NB[:, [facts.magnitude_bands.index(band) for band in magnitude_bands]],
            self.z_N,
            self.tile_N,
        )


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts."""

    train_N: NDArray[np.int64]
    validation_N: NDArray[np.int64]
    test_N: NDArray[np.int64]


def split_examples(examples: Examples, seed: int, by: SplitName) -> Split:
    """Split 70 : 15 : 15 at random, by galaxy or by whole tiles (so that no test tile was ever trained on).

    Raises
    ------
    TrainingError
        If the set is too small, holds NaN redshifts, or has fewer than three tiles for a split by tile.
    """
    _check(examples)
    unit_N = (
        np.arange(len(examples))
        if by == "galaxy"
        else np.unique(examples.tile_N, return_inverse=True)[1]
    )
    n_units = int(unit_N.max()) + 1
    if n_units < 3:
        raise TrainingError(
            f"training set {examples.facts.name} has {n_units} tiles; a split by tile needs three"
        )
    order = np.random.default_rng(seed).permutation(n_units)
    shares = np.bincount(unit_N, minlength=n_units)[order].cumsum() / len(examples)
    part_U = np.empty(n_units, dtype=np.int64)
    # The middle of a unit decides, so that each part gets at least its share of large tiles.
    part_U[order] = np.searchsorted(
        np.cumsum(SHARES[:2]), shares - 0.5 * np.bincount(unit_N)[order] / len(examples)
    )
    parts = [np.flatnonzero(part_U[unit_N] == part) for part in range(3)]
    if any(len(part) == 0 for part in parts):
        raise TrainingError(
            f"training set {examples.facts.name}: a part of the split by {by} is empty; use more tiles"
        )
    return Split(*parts)


def save_examples(examples: Examples, folder: Path) -> None:
    """Write the set as plain .npy files and ``set.json``, which is written last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(examples, name))
    about = {"number": len(examples), "digest": examples.digest(), **asdict(examples.facts)}
    (folder / "set.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def load_examples(folder: Path) -> Examples:
    """Read a set written by `save_examples`; the stamps stay on disk and are mapped.

    Raises
    ------
    TrainingError
        If it is absent, truncated, or not what it was when it was written.
    """
    try:
        about = json.loads((folder / "set.json").read_text(encoding="utf-8"))
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ARRAYS
        }
    except FileNotFoundError as error:
        raise TrainingError(
            f"{folder}: no complete training set here: {Path(error.filename).name} is missing"
        ) from error
    except (ValueError, EOFError) as error:
        raise TrainingError(
            f"{folder}: the training set is truncated or damaged: {error}"
        ) from error
    number, digest = about.pop("number"), about.pop("digest")
    about["image_bands"], about["magnitude_bands"] = (
        tuple(about["image_bands"]),
        tuple(about["magnitude_bands"]),
    )
    examples = Examples(SetFacts(**about), **arrays)
    if any(len(array) != number for array in arrays.values()) or examples.digest() != digest:
        raise TrainingError(
            f"{folder}: the arrays are not those that set.json describes; build the set again"
        )
    return examples


def _check(examples: Examples) -> None:
    name, bad = examples.facts.name, int(np.count_nonzero(~np.isfinite(examples.z_N)))
    if len(examples) < FEWEST:
        raise TrainingError(
            f"training set {name} has {len(examples)} galaxies; at least {FEWEST} are needed"
        )
    if bad:
        raise TrainingError(
            f"training set {name} has {bad} redshifts that are not finite; remove these rows"
        )
