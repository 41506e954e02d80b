"""The statistics of a set of pairs with their intervals, and of other redshift columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run.science.statistics import (
    Floats,
    bootstrap_intervals,
    coverage,
    point_statistics,
)
from photoz_run.validation.tables import Columns

METHOD = "Z_PHOT"
INTERVAL_LEVELS = {
    "coverage_68": ("Z_PHOT_LO68", "Z_PHOT_HI68"),
    "coverage_95": ("Z_PHOT_LO95", "Z_PHOT_HI95"),
}
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


@dataclass(frozen=True)
class Estimate:
    """A value with its 68% bootstrap interval (NaN where there is none)."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    @property
    def error(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


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

    def __getitem__(self, statistic: str) -> Estimate:
        return self.estimates[statistic]


def measured_columns(columns: Columns, weight: str = "", method: str = METHOD) -> list[str]:
    """Names of the columns that `measure` reads."""
    names = [method, "Z_SPEC"]
    if weight:
        names.append(weight)
    for ends in _intervals(columns, method).values():
        names += ends
    return names


def _intervals(columns: Columns, method: str) -> dict[str, tuple[str, str]]:
    """The columns of the ends of each interval that the catalogue has for ``method``."""
    if method != METHOD:
        return {}
    return {key: ends for key, ends in INTERVAL_LEVELS.items() if set(ends) <= set(columns)}


def measure(
    columns: Columns,
    weight: str = "",
    *,
    method: str = METHOD,
    replicates: int = 200,
    draw: int = 2500,
    seed: int = 1,
) -> tuple[int, dict[str, Estimate]]:
    """Every point statistic of the pairs in ``columns``, and the coverage of their intervals.

    Parameters
    ----------
    columns
        Pairs, with ``method`` and Z_SPEC; rows without a photo-z do not count.
    weight
        Name of the column with weights; "" weighs all alike.
    replicates
        Bootstrap replicates; 0 leaves the intervals out.

    Returns
    -------
    Number of pairs with a photo-z, and the estimates by name.
    """
    intervals = _intervals(columns, method)
    names = measured_columns(columns, weight, method)
    finite_N = np.isfinite(columns[method].astype(np.float64))
    arrays = [columns[name][finite_N].astype(np.float64) for name in names]

    def statistics(*arrays: NDArray[Any]) -> dict[str, Floats]:
        values = dict(zip(names, arrays, strict=True))
        weights = values[weight] if weight else None
        measured = point_statistics(values[method], values["Z_SPEC"], weights)
        for key, (low, high) in intervals.items():
            measured[key] = coverage(values["Z_SPEC"], values[low], values[high], weights)
        return measured

    n = int(finite_N.sum())
    if not replicates:
        return n, {name: Estimate(float(value)) for name, value in statistics(*arrays).items()}
    spans = bootstrap_intervals(statistics, arrays, replicates=replicates, draw=draw, seed=seed)
    return n, estimates_of(statistics(*arrays), spans)


def estimates_of(
    values: Mapping[str, Floats], spans: Mapping[str, tuple[float, float]]
) -> dict[str, Estimate]:
    """Each value with its interval."""
    return {name: Estimate(float(value), *spans[name]) for name, value in values.items()}


def compare(
    columns: Columns, other: str, weight: str = "", seed: int = 1
) -> tuple[Group, dict[str, Estimate]]:
    """Another redshift column beside Z_PHOT on the galaxies that have both.

    Returns
    -------
    The other method's statistics, and the paired differences (Z_PHOT minus other) of bias, SMAD
    and outlier fraction. For these the bootstrap draws the same galaxies for both.
    """
    z_phot_N = columns[METHOD].astype(np.float64)
    z_other_N = columns[other].astype(np.float64)
    # Methods that have no null write 0, -1 or -99 for a failure.
    both_N = np.isfinite(z_phot_N) & np.isfinite(z_other_N) & (z_other_N > 0)
    names = [METHOD, other, "Z_SPEC"]
    if weight:
        names.append(weight)
    shared = {name: columns[name][both_N].astype(np.float64) for name in names}
    n, estimates = measure(shared, weight, method=other, seed=seed)

    def differences(
        z_phot: Floats, z_other: Floats, z_spec: Floats, *weights: Floats
    ) -> dict[str, Floats]:
        ours = point_statistics(z_phot, z_spec, *weights)
        theirs = point_statistics(z_other, z_spec, *weights)
        return {name: ours[name] - theirs[name] for name in PAIRED}

    arrays = list(shared.values())
    spans = bootstrap_intervals(differences, arrays, seed=seed)
    paired = estimates_of(differences(*arrays), spans)
    return Group("comparison", other, n, estimates, method=other), paired
