"""May one bundle stand in for another? Redshifts of the same galaxies, side by side.

The two are two files, or one file on two providers. What counts is the scatter of the redshifts: a
difference that is small beside it changes no result.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from photoz_models.documents import Record
from photoz_models.examples import Examples
from photoz_models.golden import Outputs
from photoz_models.session import PhotozModel
from photoz_run.errors import ConfigError
from photoz_run.science.statistics import (
    Floats,
    coverage,
    group_bootstrap_intervals,
    mean,
    normalised_residual,
    smad,
)
from photoz_run.training.comparison import predict, unseen

INSIDE = 1.0
"""Domain distance beyond which a source is flagged OUT_OF_DOMAIN."""

FEWEST = 1000
"""Fewer galaxies show no 99.9th percentile."""


@dataclass(frozen=True)
class Tolerance:
    """One figure, the most that it may be, and what it is called."""

    figure: str
    most: float
    words: str


LIMITS = (
    Tolerance("median_shift", 0.02, "median shift of a redshift / scatter"),
    Tolerance("shift_999", 0.2, "99.9% of the shifts / scatter"),
    Tolerance("largest_shift", 1.0, "largest shift / scatter"),
    Tolerance("largest_quantile_shift", 1.0, "largest shift of a quantile / scatter"),
    Tolerance("smad_growth", 0.01, "growth of SMAD"),
    Tolerance("bias_change", 0.02, "change of bias / scatter"),
    Tolerance("coverage_change", 0.005, "change of the coverage of 68% intervals"),
    Tolerance("domain_changed", 0.001, "share of sources whose domain flag changes"),
    Tolerance("missing_changed", 0.0, "share of sources with a redshift from only one"),
)
"""What a bundle may differ by and still be used for a release begun with the other one.

Shifts are |dz| / (1 + z); the scatter is the SMAD of the first bundle's errors. A median shift of
0.02 scatters widens the distribution of errors by 0.04%, since errors add in squares. A source that
moves by 0.2 scatters stays well inside its own interval.
"""


@dataclass(frozen=True)
class Side(Record):
    """One of the two: its file's name and digest, and where it ran."""

    name: str
    digest: str
    provider: str


@dataclass(frozen=True)
class Differences(Record):
    """The differences; see `LIMITS` for their units."""

    scatter: float
    median_shift: float
    shift_999: float
    largest_shift: float
    largest_quantile_shift: float
    smad_growth: float
    smad_growth_error: float
    bias_change: float
    coverage_change: float
    domain_changed: float
    missing_changed: float


@dataclass(frozen=True)
class Equivalence(Record):
    """The verdict: ``beyond`` names the figures that are larger than they may be."""

    SCHEMA: ClassVar[int] = 1

    first: Side
    second: Side
    set: str
    simulated: bool
    galaxies: int
    tiles: int
    figures: Differences
    beyond: tuple[str, ...]
    schema: int = SCHEMA


def equivalence(
    first: tuple[str, PhotozModel], second: tuple[str, PhotozModel], examples: Examples
) -> Equivalence:
    """Set two bundles, each with its name, side by side on galaxies that are new to both.

    Raises
    ------
    BundleError, TrainingError
        If a bundle or the set cannot be used.
    ConfigError
        If fewer than 1,000 galaxies are new to both, if their quantiles have other levels, or if
        a run would cut and calibrate stamps for one otherwise than for the other.
    """
    models = (first[1], second[1])
    for name, ours, theirs in models[0].contract.cut_otherwise(models[1].contract):
        raise ConfigError(
            f"{first[0]} and {second[0]} are fed otherwise, {name} = {ours} and {theirs}, which a"
            " set does not show: one cannot stand in for the other"
        )
    levels = models[0].contract.quantile_levels
    if levels != models[1].contract.quantile_levels:
        raise ConfigError(
            f"{first[0]} and {second[0]} give quantiles at other levels: one cannot stand in for"
            " the other"
        )
    rows_N = unseen(models, examples)
    if len(rows_N) < FEWEST:
        raise ConfigError(
            f"{examples.facts.name} has {len(rows_N):,} galaxies that are new to both bundles;"
            f" at least {FEWEST:,} are needed"
        )
    outputs = [predict(model, examples, rows_N) for model in models]
    tile_N = examples.tile_N[rows_N]
    z_spec_N = np.asarray(examples.z_N[rows_N], np.float64)
    figures = differences(outputs[0], outputs[1], z_spec_N, tile_N, levels)
    sides = [Side(name, model.digest, model.computes_on) for name, model in (first, second)]
    return Equivalence(
        first=sides[0],
        second=sides[1],
        set=examples.facts.name,
        simulated=examples.facts.simulated,
        galaxies=len(rows_N),
        tiles=len(np.unique(tile_N)),
        figures=figures,
        beyond=tuple(limit.figure for limit in LIMITS if not _within(figures, limit)),
    )


def differences(
    first: Outputs,
    second: Outputs,
    z_spec_N: NDArray[np.float64],
    tile_N: NDArray[np.str_],
    levels: tuple[float, ...],
) -> Differences:
    """What changes from the first outputs to the second.

    Parameters
    ----------
    first, second
        Redshifts (N,), quantiles (N, Q) and domain distances (N,) of the same galaxies. Galaxies
        without a redshift in one of the two enter ``missing_changed`` alone.
    tile_N
        Tiles are drawn whole for the error of the growth.
    """
    finite_N, other_N = np.isfinite(first[0]), np.isfinite(second[0])
    both_N = finite_N & other_N
    z_N, quantiles_NQ, _ = _wide(first, both_N)
    new_z_N, new_quantiles_NQ, _ = _wide(second, both_N)
    z_spec_N, tile_N = z_spec_N[both_N], tile_N[both_N]
    scatter = float(smad(normalised_residual(z_N, z_spec_N)))
    shift_N = np.abs(new_z_N - z_N) / (1 + z_N) / scatter
    quantile_shift_NQ = np.abs(new_quantiles_NQ - quantiles_NQ) / (1 + z_N[:, None]) / scatter
    growth, growth_error = _growth(z_N, new_z_N, z_spec_N, tile_N)
    bias, new_bias = (mean(normalised_residual(z, z_spec_N)) for z in (z_N, new_z_N))
    covered = _covered(quantiles_NQ, z_spec_N, levels)
    new_covered = _covered(new_quantiles_NQ, z_spec_N, levels)
    return Differences(
        scatter=scatter,
        median_shift=float(np.median(shift_N)),
        shift_999=float(np.quantile(shift_N, 0.999)),
        largest_shift=float(shift_N.max()),
        largest_quantile_shift=float(quantile_shift_NQ.max()),
        smad_growth=growth,
        smad_growth_error=growth_error,
        bias_change=abs(float(new_bias - bias)) / scatter,
        coverage_change=abs(new_covered - covered),
        domain_changed=float(np.mean((first[2] > INSIDE) != (second[2] > INSIDE))),
        missing_changed=float(np.mean(finite_N != other_N)),
    )


def as_table(result: Equivalence) -> str:
    """The figures beside their limits, as lines of at most 80 columns."""
    lines = [f"{'':<46}{'figure':>12}{'at most':>10}"]
    for limit in LIMITS:
        mark = "  <-- beyond" if limit.figure in result.beyond else ""
        value = getattr(result.figures, limit.figure)
        lines.append(f"{limit.words:<46}{value:>12.2g}{limit.most:>10g}{mark}")
    return "\n".join(lines)


def in_words(result: Equivalence) -> str:
    """The verdict in one line."""
    first, second = result.first, result.second
    names = (
        f"{second.name} on {second.provider} in place of {first.name} on {first.provider}"
        f" ({result.galaxies:,} {'simulated ' if result.simulated else ''}galaxies)"
    )
    if result.beyond:
        number = len(result.beyond)
        figures = "1 figure is" if number == 1 else f"{number} figures are"
        return f"{names}: must not be used for a release: {figures} beyond the limits"
    return f"{names}: may be used for a release"


def _within(figures: Differences, limit: Tolerance) -> bool:
    """NaN is beyond every limit."""
    return bool(getattr(figures, limit.figure) <= limit.most)


def _wide(outputs: Outputs, rows_N: NDArray[np.bool_]) -> Iterator[NDArray[np.float64]]:
    return (np.asarray(array[rows_N], np.float64) for array in outputs)


def _growth(
    z_N: Floats, new_z_N: Floats, z_spec_N: Floats, tile_N: NDArray[np.str_]
) -> tuple[float, float]:
    """Growth of the SMAD and its 68% error, both bundles on the same draws of tiles."""
    columns = [normalised_residual(z, z_spec_N) for z in (z_N, new_z_N)]
    growth = _smad_growth(*columns)["growth"]
    low, high = group_bootstrap_intervals(_smad_growth, columns, tile_N)["growth"]
    return float(growth), (high - low) / 2


def _smad_growth(x_N: Floats, new_x_N: Floats) -> dict[str, Floats]:
    return {"growth": smad(new_x_N) / smad(x_N) - 1}


def _covered(quantiles_NQ: Floats, z_spec_N: Floats, levels: tuple[float, ...]) -> float:
    """Share of galaxies within the central 68%; NaN where the levels lack its ends."""
    if 0.16 not in levels or 0.84 not in levels:
        return float("nan")
    low_N, high_N = (quantiles_NQ[:, levels.index(level)] for level in (0.16, 0.84))
    return float(coverage(z_spec_N, low_N, high_N))
