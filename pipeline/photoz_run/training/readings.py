"""Is a bundle fed what its network was trained on? Tried on labelled galaxies.

A network that is fed something else still gives redshifts, only worse ones. So the galaxies are
read as the contract says, and as they would be read under each plausible mistake. The reading with
the smallest errors is the likely one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from photoz_models.contract import ModelContract, Wrapped
from photoz_models.examples import Examples
from photoz_models.independence import BATCH
from photoz_models.session import PhotozModel
from photoz_run.errors import ConfigError
from photoz_run.progress import SILENT, StepProgress
from photoz_run.science.statistics import normalised_residual, smad
from photoz_run.simulation.conditions import EXTINCTION_PER_EBV
from photoz_run.training.comparison import unseen

Floats = NDArray[np.floating]
Change = Callable[[Floats], Floats]

AS_WRAPPED = "as wrapped"

POWERS = (-12, -10, -9, -6, -3, -2, -1, 1, 2, 3, 6, 9, 10, 12)
"""Of ten, between flux units. Zero-points are multiples of 2.5 mag."""

REDDENINGS = (0.02, 0.05, 0.1)
"""E(B-V) of most of the sky that surveys cover; a set does not know its own."""

SCREENED = 768
"""Galaxies on which all readings are tried."""

JUDGED = 4096
"""Other galaxies on which the best reading is set beside the contract's."""

FEWEST = 200

RESAMPLINGS = 200
SIGMAS = 3.0
SMALLEST_GAIN = 0.02
"""The errors of a better reading are smaller by so much, and by so many of their own errors."""

LARGEST = 0.5
"""Larger errors count as this one, so that a few outliers do not decide."""

MOST_BANDS = 4
"""More channels have too many orders to be tried; then only the reverse one is."""


@dataclass(frozen=True)
class Reading:
    """One way to read the galaxies: what it does to the stamps, the magnitudes, the redshift.

    ``field`` is what a specification would say otherwise.
    """

    name: str
    field: str
    stamps: Change | None = None
    magnitudes: Change | None = None
    redshift: Change | None = None


@dataclass(frozen=True)
class Tried:
    """A reading with its statistics of dz / (1 + z) on ``galaxies``."""

    reading: Reading
    smad: float
    bias: float
    spread: float
    galaxies: int


@dataclass(frozen=True)
class CheckResult:
    """All readings, the smallest errors first, and the best one beside the contract's.

    Attributes
    ----------
    tried
        On one sample of galaxies.
    wrapped, best
        On another sample. ``best`` is none if no reading fits better beyond doubt.
    """

    tried: tuple[Tried, ...]
    wrapped: Tried
    best: Tried | None


def readings(contract: ModelContract, table_NT: Floats) -> Iterator[Reading]:
    """The contract's own reading, then those under each plausible mistake.

    ``table_NT`` are the galaxies, for the scaler that somebody may have fitted to them.
    """
    yield Reading(AS_WRAPPED, "")
    yield Reading("the output is log(1+z)", 'target = "log1pz"', redshift=np.expm1)
    yield Reading("the output is z itself", 'target = "z"', redshift=np.log1p)
    if contract.image_bands:
        yield from _of_stamps(contract)
    if contract.magnitude_bands:
        yield from _of_magnitudes(contract)
    if contract.wrapped is not None and contract.wrapped.standardised:
        yield from _of_scaler(contract.wrapped, table_NT)


def check_bundle(
    model: PhotozModel, examples: Examples, progress: StepProgress = SILENT
) -> CheckResult:
    """Try all readings on labelled galaxies.

    Raises
    ------
    TrainingError, BundleError
        If the set lacks a band, or has other stamps.
    ConfigError
        If the set has fewer than 200 galaxies that the bundle was not trained on.
    """
    rows_N = unseen([model], examples)
    if len(rows_N) < FEWEST:
        raise ConfigError(
            f"{examples.facts.name} has {len(rows_N)} galaxies that are new to the bundle;"
            f" at least {FEWEST} are needed"
        )
    contract = model.contract
    rows_N = np.random.default_rng(0).permutation(rows_N)
    number = min(SCREENED, len(rows_N) // 2)
    first = _rows(examples, contract, rows_N[:number])
    second = _rows(examples, contract, rows_N[number : number + JUDGED])
    every = list(readings(contract, first.table_NT))
    own, tried = every[0], []
    with progress.step("readings tried", len(every)) as tick:
        for reading in every:
            tried.append(_try(model, reading, first))
            tick(1)
    tried.sort(key=lambda one: one.spread)
    best = tried[0].reading
    own_N, best_N = _errors(model, own, second), _errors(model, best, second)
    better = best is not own and _is_better(best_N, own_N)
    return CheckResult(
        tuple(tried), _statistics(own, own_N), _statistics(best, best_N) if better else None
    )


def as_table(tried: tuple[Tried, ...]) -> str:
    """Give the readings as lines of text."""
    width = max(len(one.reading.name) for one in tried)
    lines = [f"{'reading':<{width}}      SMAD      bias"]
    lines += [f"{one.reading.name:<{width}}  {one.smad:8.5f}  {one.bias:+8.5f}" for one in tried]
    return "\n".join(lines)


def in_words(verdict: CheckResult) -> str:
    """The verdict in one line."""
    own, best = verdict.wrapped, verdict.best
    figures = f"SMAD {own.smad:.5f}, bias {own.bias:+.5f} of {own.galaxies:,} galaxies"
    if best is None:
        return f"no reading fits better than the contract's: {figures}"
    return (
        f"fits better if {best.reading.name}: SMAD {best.smad:.5f}, bias {best.bias:+.5f};"
        f" as wrapped: {figures}; look at {best.reading.field}"
    )


def _of_stamps(contract: ModelContract) -> Iterator[Reading]:
    for down, right in product((-1, 0, 1), repeat=2):
        if down or right:
            yield _shift(contract, down, right)
    bands = contract.image_bands
    orders = list(permutations(range(len(bands)))) if len(bands) <= MOST_BANDS else []
    orders = orders or [tuple(range(len(bands)))[::-1]]
    for order in orders:
        if order != tuple(range(len(bands))):
            names = [bands[k] for k in order]
            yield Reading(
                f"image bands {' '.join(names)}",
                f"image_bands = {names}",
                stamps=partial(_reordered, list(order)),
            )
    for power in POWERS:
        yield Reading(
            f"pixels x 1e{power}",
            f"flux_scale times 1e{power}",
            stamps=partial(_scaled, np.float32(10.0**power)),
        )
    extinction_C = _extinction(bands)
    for reddening in (*REDDENINGS, *(-value for value in REDDENINGS)):
        factor_C = 10 ** (0.4 * reddening * extinction_C)
        way = "corrected for" if reddening > 0 else "not corrected for"
        yield Reading(
            f"pixels {way} extinction, E(B-V) {abs(reddening)}",
            f"extinction_corrected = {'true' if reddening > 0 else 'false'}",
            stamps=partial(_scaled, factor_C[:, None, None].astype(np.float32)),
        )


def _of_magnitudes(contract: ModelContract) -> Iterator[Reading]:
    bands = contract.magnitude_bands
    number = len(bands)
    if number > 1:
        yield Reading(
            "magnitudes in reverse order",
            "magnitude_bands in reverse order",
            magnitudes=partial(_reversed, number),
        )
    extinction_B = _extinction(bands)
    for reddening in (*REDDENINGS, *(-value for value in REDDENINGS)):
        shift_B = reddening * extinction_B
        way = "with" if reddening > 0 else "without"
        yield Reading(
            f"magnitudes {way} extinction, E(B-V) {abs(reddening)}",
            f"magnitudes {'not ' if reddening > 0 else ''}corrected for extinction",
            magnitudes=partial(_fainter, shift_B),
        )


def _of_scaler(wrapped: Wrapped, table_NT: Floats) -> Iterator[Reading]:
    """Magnitudes that, once standardised, have mean 0 and scatter 1 in this set."""
    mean_B, scale_B = np.array(wrapped.magnitude_mean), np.array(wrapped.magnitude_scale)
    number = len(mean_B)
    if number == 0:
        return
    magnitudes_NB = table_NT[:, :number].astype(np.float64)
    own_mean_B, own_scale_B = np.nanmean(magnitudes_NB, axis=0), np.nanstd(magnitudes_NB, axis=0)

    def restandardised(table_NT: Floats) -> Floats:
        changed_NT = np.array(table_NT)
        standard_NB = (table_NT[:, :number] - own_mean_B) / np.maximum(own_scale_B, 1e-9)
        changed_NT[:, :number] = standard_NB * scale_B + mean_B
        return changed_NT

    yield Reading(
        "magnitudes standardised by this set",
        "magnitude_mean and magnitude_scale: they are those of another table than the training set",
        magnitudes=restandardised,
    )


def _shift(contract: ModelContract, down: int, right: int) -> Reading:
    """Stamps that start ``down`` and ``right`` pixels later."""
    names = {-1: "one pixel lower", 0: "as they do", 1: "one pixel higher"}
    where = f"{names[right]} in x, {names[down]} in y"
    field = "the positions or the cutting of stamps"
    if down == right == -1 and contract.centring.startswith("ceil"):
        field = 'centring = "floor(x - size/2)"'
    if down == right == 1 and contract.centring.startswith("floor"):
        field = 'centring = "ceil(x - size/2)"'
    return Reading(
        f"stamps start {where}",
        field,
        stamps=partial(shifted, down=down, right=right),
    )


def shifted(stamps_NCHW: Floats, down: int, right: int) -> Floats:
    """Stamps of the same sources that start some pixels later; NaN where that is not known."""
    moved_NCHW = np.full_like(stamps_NCHW, np.nan)
    height, width = stamps_NCHW.shape[2:]
    rows, columns = _overlap(height, down), _overlap(width, right)
    moved_NCHW[:, :, rows[0], columns[0]] = stamps_NCHW[:, :, rows[1], columns[1]]
    return moved_NCHW


def _overlap(size: int, later: int) -> tuple[slice, slice]:
    """Where the pixels go, and where they are."""
    return slice(max(0, -later), size - max(0, later)), slice(max(0, later), size + min(0, later))


def _reordered(order: list[int], stamps_NCHW: Floats) -> Floats:
    return stamps_NCHW[:, order]


def _scaled(factor: Floats | np.float32, stamps_NCHW: Floats) -> Floats:
    return stamps_NCHW * factor


def _reversed(number: int, table_NT: Floats) -> Floats:
    return np.hstack([table_NT[:, :number][:, ::-1], table_NT[:, number:]])


def _fainter(shift_B: NDArray[np.float64], table_NT: Floats) -> Floats:
    moved_NT = np.array(table_NT)
    moved_NT[:, : len(shift_B)] += shift_B.astype(np.float32)
    return moved_NT


def _extinction(bands: tuple[str, ...]) -> NDArray[np.float64]:
    """A_x / E(B-V) of each band, 0 of a band of another survey."""
    return np.array([EXTINCTION_PER_EBV.get(band, 0.0) for band in bands])


def _rows(examples: Examples, contract: ModelContract, rows_N: NDArray[np.int64]) -> Examples:
    """The galaxies of these rows, in memory, with what the bundle reads."""
    ours = examples.narrowed(contract.image_bands, contract.table_columns)
    return Examples(
        ours.facts,
        np.array(ours.stamps_NCHW[rows_N]),
        np.array(ours.table_NT[rows_N]),
        np.array(ours.z_N[rows_N]),
        np.array(ours.tile_N[rows_N]),
    )


def _try(model: PhotozModel, reading: Reading, examples: Examples) -> Tried:
    return _statistics(reading, _errors(model, reading, examples))


def _errors(model: PhotozModel, reading: Reading, examples: Examples) -> NDArray[np.float64]:
    """Errors dz / (1 + z) of every galaxy; NaN without a redshift."""
    stamps_NCHW: Floats = examples.stamps_NCHW
    table_NT: Floats = examples.table_NT
    if reading.stamps is not None:
        stamps_NCHW = reading.stamps(stamps_NCHW)
    if reading.magnitudes is not None:
        table_NT = reading.magnitudes(table_NT)
    parts = [
        _predict(model, stamps_NCHW[start : start + BATCH], table_NT[start : start + BATCH])
        for start in range(0, len(table_NT), BATCH)
    ]
    z_N: Floats = np.concatenate(parts).astype(np.float64)
    if reading.redshift is not None:
        z_N = reading.redshift(z_N)
    return np.asarray(normalised_residual(z_N, examples.z_N.astype(np.float64)))


def _predict(model: PhotozModel, stamps_NCHW: Floats, table_NT: Floats) -> NDArray[np.float32]:
    return model.predict(stamps_NCHW.astype(np.float32), table_NT.astype(np.float32))[0]


def _statistics(reading: Reading, error_N: NDArray[np.float64]) -> Tried:
    known_N = error_N[np.isfinite(error_N)]
    if len(known_N) == 0:
        return Tried(reading, np.inf, np.nan, np.inf, 0)
    return Tried(
        reading, float(smad(known_N)), float(np.mean(known_N)), _spread(error_N), len(known_N)
    )


def _spread(error_N: NDArray[np.float64]) -> float:
    """SMAD and bias in one number; a missing redshift is a large error."""
    size_N = np.clip(np.nan_to_num(error_N, nan=LARGEST), -LARGEST, LARGEST)
    return float(np.hypot(smad(size_N), np.mean(size_N)))


def _is_better(error_N: NDArray[np.float64], than_N: NDArray[np.float64]) -> bool:
    """Smaller beyond doubt; both are errors of the same galaxies."""
    gain = 1 - _spread(error_N) / max(_spread(than_N), 1e-12)
    dice = np.random.default_rng(1)
    drawn_RN = dice.integers(len(error_N), size=(RESAMPLINGS, len(error_N)))
    gains_R = [_spread(than_N[rows]) - _spread(error_N[rows]) for rows in drawn_RN]
    doubt = float(np.std(gains_R))
    return gain > SMALLEST_GAIN and float(np.mean(gains_R)) > SIGMAS * doubt
