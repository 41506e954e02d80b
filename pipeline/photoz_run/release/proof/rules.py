"""What must hold in every row of a catalogue: nulls, ranges, and flags that fit the values.

Each rule yields its words and the rows that break it. Null floats are NaN here, and a comparison
with NaN breaks no rule.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run import flags, schema
from photoz_run.release.distributions import quantile_matrix
from photoz_run.science.intervals import quantile_at

Rule: TypeAlias = tuple[str, NDArray[np.bool_]]

KNOWN_FLAGS = sum(flag.value for flag in flags.FLAGS)
PAIRS = (
    ("Z_PHOT_LO68", "Z_PHOT_HI68"),
    ("Z_PHOT_LO95", "Z_PHOT_HI95"),
    ("Z_PHOT_LO68", "Z_PHOT_ERR"),
)
"""Columns of which both are null, or neither."""
LEVELS = {"Z_PHOT_LO68": 0.16, "Z_PHOT_HI68": 0.84, "Z_PHOT_LO95": 0.025, "Z_PHOT_HI95": 0.975}
ROUNDING = 1e-6
"""A few units in the last place of a float32 redshift."""
LIMIT = 1e-4
"""Part of the range of redshift that counts as its end, as `photoz_run.tile.predict` has it."""


@dataclass(frozen=True)
class RowLimits:
    """What the rows of a release may hold."""

    z_min: float
    z_max: float
    """The model's range of redshift."""
    mask_bits: int
    """Bits that MASK may have."""
    levels: tuple[float, ...]
    """The levels of the quantiles, empty without quantiles."""


def null_rules(batch: pa.Table) -> Iterator[Rule]:
    """No null where the dictionary has none; of columns that belong together both, or neither."""
    for column in schema.COLUMNS:
        if not column.null:
            yield f"{column.name} is null", _missing(batch[column.name])
    for name, kind in zip(batch.schema.names, batch.schema.types, strict=True):
        if pa.types.is_floating(kind):
            yield f"{name} is NaN, not null", pc.fill_null(pc.is_nan(batch[name]), False).to_numpy()
    lost_N = _missing(batch["Z_PHOT"])
    flag_N = (batch["PHOTOZ_FLAG"].fill_null(0).to_numpy() & flags.bit("NO_REDSHIFT")) != 0
    yield "Z_PHOT is null without NO_REDSHIFT, or is not with it", lost_N != flag_N
    for first, second in PAIRS:
        alone_N = _missing(batch[first]) != _missing(batch[second])
        yield f"{first} or {second} is null alone", alone_N
    for name in (*LEVELS, "Z_DOMAIN"):
        yield f"{name} is there without Z_PHOT", lost_N & ~_missing(batch[name])
    if schema.QUANTILES.name in batch.column_names:
        known_N = np.isfinite(quantile_matrix(batch[schema.QUANTILES.name])).any(axis=1)
        yield f"{schema.QUANTILES.name} is there without Z_PHOT", lost_N & known_N


def range_rules(batch: pa.Table, limits: RowLimits) -> Iterator[Rule]:
    """What lies out of its range, or out of order."""
    value = _floats(batch)
    ra_N = value["RAJ2000"]
    yield "RAJ2000 is not in 0..360", ~((ra_N >= 0) & (ra_N <= 360))
    yield "DECJ2000 is not in -90..90", ~(np.abs(value["DECJ2000"]) <= 90)
    z_N = value["Z_PHOT"]
    beyond_N = (z_N < limits.z_min - ROUNDING) | (z_N > limits.z_max + ROUNDING)
    yield f"Z_PHOT is not in {limits.z_min:g}..{limits.z_max:g}", beyond_N
    ends = ("Z_PHOT_LO95", "Z_PHOT_LO68", "Z_PHOT_HI68", "Z_PHOT_HI95")
    for lower, upper in pairwise(ends):
        yield f"{lower} is above {upper}", value[lower] > value[upper]
    width_N = value["Z_PHOT_HI68"] - value["Z_PHOT_LO68"]
    yield "Z_PHOT_ERR is not half of the 68% interval", _apart(value["Z_PHOT_ERR"], width_N / 2)
    yield "Z_DOMAIN is negative", value["Z_DOMAIN"] < 0
    yield from _quantile_rules(batch, limits, value)


def flag_rules(batch: pa.Table, limits: RowLimits) -> Iterator[Rule]:
    """Bits that nobody knows, and bits that contradict the values."""
    flag_N = batch["PHOTOZ_FLAG"].fill_null(0).to_numpy()
    mask_N = batch["MASK"].fill_null(0).to_numpy()
    value = _floats(batch)
    yield "PHOTOZ_FLAG has an unknown bit", (flag_N & ~np.int32(KNOWN_FLAGS)) != 0
    yield f"MASK has a bit beyond {limits.mask_bits - 1}", (mask_N >> limits.mask_bits) != 0
    tolerance = LIMIT * (limits.z_max - limits.z_min)
    z_N = value["Z_PHOT"]
    at_an_end_N = (z_N <= limits.z_min + tolerance) | (z_N >= limits.z_max - tolerance)
    expected = {"Z_LIMIT": at_an_end_N, "OUT_OF_DOMAIN": value["Z_DOMAIN"] > 1}
    for name, expected_N in expected.items():
        set_N = (flag_N & flags.bit(name)) != 0
        yield f"{name} contradicts the value", set_N != expected_N


def _quantile_rules(
    batch: pa.Table, limits: RowLimits, value: Mapping[str, NDArray[Any]]
) -> Iterator[Rule]:
    if schema.QUANTILES.name not in batch.column_names:
        return
    quantiles_NQ = quantile_matrix(batch[schema.QUANTILES.name])
    falling_N = (np.diff(quantiles_NQ, axis=1) < -ROUNDING).any(axis=1)
    yield f"{schema.QUANTILES.name} fall", np.asarray(falling_N, np.bool_)
    for name, level in LEVELS.items():
        at_N = quantile_at(level, np.array(limits.levels), quantiles_NQ)
        yield f"{name} is not the quantile at {level:g}", _apart(value[name], at_N)


def _apart(here_N: NDArray[Any], there_N: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(here_N - there_N) > ROUNDING, np.bool_)


def _missing(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(column.is_null().to_numpy(), np.bool_)


def _floats(batch: pa.Table) -> dict[str, NDArray[Any]]:
    """The columns of the dictionary that hold floats; null is NaN."""
    return {
        column.name: batch[column.name].to_numpy()
        for column in schema.COLUMNS
        if column.dtype in ("f4", "f8")
    }
