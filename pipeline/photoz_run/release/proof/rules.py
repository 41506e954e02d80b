"""What must hold in every row of a catalogue: nulls, ranges, and flags that fit the values.

Each rule yields its words and the rows that break it. Null floats are NaN here, and a comparison
with NaN breaks no rule.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
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


@dataclass
class Broken:
    """Rows that break rules: how many break each one, and the ID of the first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def note(self, batch: pa.Table, rules: Iterable[Rule]) -> None:
        """Count the rows of ``batch`` that break ``rules``."""
        for words, broken_N in rules:
            rows = np.flatnonzero(broken_N)
            if len(rows):
                self.counts[words] += len(rows)
                self.first.setdefault(words, f"{batch['ID'][int(rows[0])]}")

    def problems(self) -> list[str]:
        """A line for each rule that is broken."""
        return [
            f"{words} in {number:,} rows, the first is {self.first[words]!r}"
            for words, number in self.counts.items()
        ]


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


class RowArrays:
    """Some rows of a catalogue, their columns as arrays."""

    def __init__(self, batch: pa.Table) -> None:
        self.batch = batch

    @cached_property
    def missing(self) -> dict[str, NDArray[np.bool_]]:
        """Where each column is null; quantiles have nulls of their own."""
        nowhere_N = np.zeros(len(self.batch), bool)
        missing = {}
        for name in self.batch.column_names:
            column = self.batch[name]
            if name != schema.QUANTILES.name:
                missing[name] = column.is_null().to_numpy() if column.null_count else nowhere_N
        return missing

    @cached_property
    def floats(self) -> dict[str, NDArray[Any]]:
        """The columns that hold floats; null is NaN."""
        fields = [field for field in self.batch.schema if pa.types.is_floating(field.type)]
        return {field.name: self.batch[field.name].to_numpy() for field in fields}

    @cached_property
    def quantiles_NQ(self) -> NDArray[np.float32] | None:
        """The quantiles, if the catalogue has them."""
        if schema.QUANTILES.name not in self.batch.column_names:
            return None
        return quantile_matrix(self.batch[schema.QUANTILES.name])

    @cached_property
    def flag_N(self) -> NDArray[np.int32]:
        """The quality flags; null is 0."""
        return np.asarray(self.batch["PHOTOZ_FLAG"].fill_null(0).to_numpy())


def null_rules(rows: RowArrays) -> Iterator[Rule]:
    """No null where the dictionary has none; of columns that belong together both, or neither."""
    missing = rows.missing
    for column in schema.COLUMNS:
        if not column.null:
            yield f"{column.name} is null", missing[column.name]
    for name, value_N in rows.floats.items():
        yield f"{name} is NaN, not null", np.isnan(value_N) & ~missing[name]
    lost_N = missing["Z_PHOT"]
    flag_N = (rows.flag_N & flags.bit("NO_REDSHIFT")) != 0
    yield "Z_PHOT is null without NO_REDSHIFT, or is not with it", lost_N != flag_N
    for first, second in PAIRS:
        yield f"{first} or {second} is null alone", missing[first] != missing[second]
    for name in (*LEVELS, "Z_DOMAIN"):
        yield f"{name} is there without Z_PHOT", lost_N & ~missing[name]
    if rows.quantiles_NQ is not None:
        known_N = np.isfinite(rows.quantiles_NQ).any(axis=1)
        yield f"{schema.QUANTILES.name} is there without Z_PHOT", lost_N & known_N


def range_rules(rows: RowArrays, limits: RowLimits) -> Iterator[Rule]:
    """What lies out of its range, or out of order."""
    value = rows.floats
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
    yield from _quantile_rules(rows, limits)


def flag_rules(rows: RowArrays, limits: RowLimits) -> Iterator[Rule]:
    """Bits that nobody knows, and bits that contradict the values."""
    flag_N, value = rows.flag_N, rows.floats
    mask_N = rows.batch["MASK"].fill_null(0).to_numpy()
    yield "PHOTOZ_FLAG has an unknown bit", (flag_N & ~np.int32(KNOWN_FLAGS)) != 0
    yield f"MASK has a bit beyond {limits.mask_bits - 1}", (mask_N >> limits.mask_bits) != 0
    tolerance = LIMIT * (limits.z_max - limits.z_min)
    z_N = value["Z_PHOT"]
    at_an_end_N = (z_N <= limits.z_min + tolerance) | (z_N >= limits.z_max - tolerance)
    expected = {"Z_LIMIT": at_an_end_N, "OUT_OF_DOMAIN": value["Z_DOMAIN"] > 1}
    for name, expected_N in expected.items():
        set_N = (flag_N & flags.bit(name)) != 0
        yield f"{name} contradicts the value", set_N != expected_N


def _quantile_rules(rows: RowArrays, limits: RowLimits) -> Iterator[Rule]:
    quantiles_NQ = rows.quantiles_NQ
    if quantiles_NQ is None:
        return
    falling_N = (np.diff(quantiles_NQ, axis=1) < -ROUNDING).any(axis=1)
    yield f"{schema.QUANTILES.name} fall", np.asarray(falling_N, np.bool_)
    for name, level in LEVELS.items():
        at_N = quantile_at(level, np.array(limits.levels), quantiles_NQ)
        yield f"{name} is not the quantile at {level:g}", _apart(rows.floats[name], at_N)


def _apart(here_N: NDArray[Any], there_N: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(here_N - there_N) > ROUNDING, np.bool_)
