"""The statistics of a set of pairs with their intervals, and of other redshift columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from photoz_run.science.point_errors import PointTerms, point_terms
from photoz_run.science.representative import effective_number
from photoz_run.science.resampling import Errors, GroupedSums, Resampling, Rows, Spread
from photoz_run.science.statistics import (
    Floats,
    mean,
    point_statistics,
)
from photoz_run.validation.tables import Columns

METHOD = "Z_PHOT"
INTERVAL_LEVELS = {
    "coverage_68": ("Z_PHOT_LO68", "Z_PHOT_HI68"),
    "coverage_95": ("Z_PHOT_LO95", "Z_PHOT_HI95"),
}
KINDS_RATIO = 1.5
"""Errors over groups and by galaxy that differ by more are both stated."""

PAIRED = ("bias", "smad", "outliers_015")
"""Statistics whose difference between two methods is measured on the same galaxies."""

STATISTICS = {
    "bias": "mean of dz",
    "mean_normdz": "mean of normdz",
    "median_normdz": "median of normdz",
    "sd_normdz": "SD of normdz",
    "smad": "SMAD of normdz",
    "sigma_68": "sigma_68 of normdz",
    "outliers_005": "fraction |normdz| > 0.05",
    "outliers_015": "fraction |normdz| > 0.15",
    "outliers_3smad": "fraction beyond 3 SMAD",
    "outliers_rail": "fraction > max(0.06, 3 sigma_IQR)",
    "coverage_68": "coverage of the 68% interval",
    "coverage_95": "coverage of the 95% interval",
}
"""Every statistic with an interval, in the order of the report, with its words."""

FRACTIONS = tuple(name for name in STATISTICS if name.startswith(("outliers", "coverage")))


@dataclass(frozen=True)
class Estimate:
    """A value with its 68% bootstrap interval over groups (NaN where there is none)."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    by_galaxy: float = float("nan")
    """Its error if every galaxy were independent."""
    groups: int = 0
    """Tiles, or regions of the sky, that hold a galaxy; 0 where there is no interval."""

    @property
    def error(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def kinds_differ(self) -> bool:
        """Whether the errors over groups and by galaxy differ by more than `KINDS_RATIO`."""
        smaller, larger = sorted((self.error, self.by_galaxy))
        return larger > KINDS_RATIO * smaller


@dataclass(frozen=True)
class Group:
    """Statistics of ``n`` pairs: all of them, or one bin of a breakdown.

    Categories have no edges (NaN).
    """

    breakdown: str
    label: str
    n: int
    estimates: Mapping[str, Estimate]
    method: str = METHOD
    centre: float = float("nan")
    low_edge: float = float("nan")
    high_edge: float = float("nan")
    contrasts: Mapping[str, Estimate] = field(default_factory=dict)
    """Of a category: how it differs from all other pairs, see `contrast`."""
    weighted: Mapping[str, Estimate] = field(default_factory=dict)
    """The same statistics, weighted to the whole catalogue; empty where that cannot be had."""
    effective: float = float("nan")
    """The effective number of pairs, weighted."""

    def __getitem__(self, statistic: str) -> Estimate:
        return self.estimates[statistic]


@dataclass(frozen=True)
class Sample:
    """Pairs that are measured together; those without a photo-z do not count."""

    terms: PointTerms
    resampling: Resampling
    like_N: Floats | None = None
    """Weights with which pairs are like the whole catalogue; 0 for those that were not compared."""

    def of(self, rows: Rows) -> "Sample":
        """Some of the pairs."""
        like_N = None if self.like_N is None else self.like_N[rows]
        return Sample(self.terms.of(rows), self.resampling.of(rows), like_N)

    def weighted(self) -> "Sample | None":
        """The pairs that were compared with the catalogue, weighted to it; None without any."""
        if self.like_N is None:
            return None
        row_K = np.flatnonzero(self.like_N)
        return self.of(row_K).times(self.like_N[row_K]) if len(row_K) else None

    def times(self, weight_N: Floats) -> "Sample":
        """The pairs with further weights, times those that the user named."""
        own = self.terms.weight_N
        both = weight_N if own is None else weight_N * own
        return Sample(replace(self.terms, weight_N=both), self.resampling)

    @property
    def effective(self) -> float:
        """The effective number of pairs with a photo-z."""
        known = np.isfinite(self.terms.z_phot_N)
        weight_N = self.terms.weight_N
        return effective_number(known if weight_N is None else np.nan_to_num(weight_N[known]))

    @cached_property
    def sums(self) -> GroupedSums:
        """What the pairs of each group add to the statistics."""
        return self.resampling.sums(self.terms.parts())


def sample(
    columns: Columns,
    resampling: Resampling,
    weight: str = "",
    method: str = METHOD,
    like_N: Floats | None = None,
) -> Sample:
    """The pairs with the redshifts in the column ``method``.

    Parameters
    ----------
    weight
        Name of the column with weights; "" weighs all alike.
    like_N
        Weights with which pairs are like the whole catalogue.
    """
    intervals = {}
    for name, ends in INTERVAL_LEVELS.items():
        if method == METHOD and set(ends) <= set(columns):
            intervals[name] = [columns[end] for end in ends]
    weight_N = columns[weight] if weight else None
    terms = point_terms(columns[method], columns["Z_SPEC"], intervals, weight_N)
    return Sample(terms, resampling, like_N)


def values_of(terms: PointTerms) -> dict[str, float]:
    """Every point statistic of some pairs, and the coverage of their intervals."""
    values = point_statistics(terms.z_phot_N, terms.z_spec_N, terms.weight_N)
    for name, inside_N in terms.inside.items():
        values[name] = mean(inside_N, terms.weight_N)
    return {name: float(value) for name, value in values.items()}


def group_of(
    breakdown: str, label: str, pairs: Sample, method: str = METHOD, **further: Any
) -> Group:
    """A set of pairs with every statistic, unweighted and weighted to the whole catalogue."""
    n = int(np.isfinite(pairs.terms.z_phot_N).sum())
    weighted = pairs.weighted()
    if weighted is not None:
        further |= {"weighted": measure(weighted), "effective": weighted.effective}
    return Group(breakdown, label, n, measure(pairs), method, **further)


def measure(pairs: Sample) -> dict[str, Estimate]:
    """Every statistic with its errors."""
    spreads = pairs.resampling.spreads(pairs.terms.statistics, pairs.sums)
    values = values_of(pairs.terms)
    return {name: estimate(value, spreads[name]) for name, value in values.items()}


def estimate(value: float, spread: Spread) -> Estimate:
    """A value with its spread."""
    low, high = value - spread.below, value + spread.above
    return Estimate(value, low, high, spread.by_galaxy, spread.groups)


def errors_of(errors: Errors) -> Estimate:
    """A mean over galaxies with its errors."""
    return Estimate(errors.value, errors.low, errors.high, errors.by_galaxy, errors.groups)


def contrast(part: Sample, every: Sample) -> dict[str, Estimate]:
    """How some pairs differ from all others, with errors paired by group.

    Returns
    -------
    Differences of "median_normdz" and "outliers_015", and of the logarithm of "smad".
    """

    def differences(*sums: Floats) -> dict[str, Floats]:
        here, whole = sums[: len(sums) // 2], sums[len(sums) // 2 :]
        others = [np.maximum(total - own, 0) for total, own in zip(whole, here, strict=True)]
        ours, theirs = part.terms.statistics(*here), every.terms.statistics(*others)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(ours["smad"] / theirs["smad"])
        shift = ours["median_normdz"] - theirs["median_normdz"]
        more = ours["outliers_015"] - theirs["outliers_015"]
        return {"median_normdz": shift, "smad": ratio, "outliers_015": more}

    both = part.sums.beside(every.sums)
    values = differences(*(part.sum(axis=0, keepdims=True) for part in both.of_groups))
    spreads = every.resampling.spreads(differences, both)
    return {name: estimate(float(value[0]), spreads[name]) for name, value in values.items()}


def compare(
    columns: Columns, other: str, every: Sample, weight: str = ""
) -> tuple[Group, dict[str, Estimate]]:
    """Another redshift column beside Z_PHOT on the galaxies that have both.

    ``every`` are all pairs.

    Returns
    -------
    The other method's statistics, and the paired differences (Z_PHOT minus other) of bias, SMAD
    and outlier fraction. For these the bootstrap draws the same groups for both.
    """
    z_other_N = columns[other].astype(np.float64)
    # Methods that have no null write 0, -1 or -99 for a failure.
    both_N = np.isfinite(columns[METHOD]) & np.isfinite(z_other_N) & (z_other_N > 0)
    names = [METHOD, other, "Z_SPEC", *([weight] if weight else [])]
    shared = {name: columns[name][both_N] for name in names}
    like_N = None if every.like_N is None else every.like_N[both_N]
    ours = sample(shared, every.resampling.of(both_N), weight)
    theirs = sample(shared, ours.resampling, weight, other, like_N)
    return group_of("comparison", other, theirs, other), paired(ours, theirs)


def paired(ours: Sample, theirs: Sample, names: Sequence[str] = PAIRED) -> dict[str, Estimate]:
    """Differences of two redshifts of the same galaxies, ours minus theirs, paired by group."""

    def differences(*sums: Floats) -> dict[str, Floats]:
        half = len(sums) // 2
        first = ours.terms.statistics(*sums[:half])
        second = theirs.terms.statistics(*sums[half:])
        return {name: first[name] - second[name] for name in names}

    spreads = ours.resampling.spreads(differences, ours.sums.beside(theirs.sums))
    first, second = values_of(ours.terms), values_of(theirs.terms)
    return {name: estimate(first[name] - second[name], spreads[name]) for name in names}
