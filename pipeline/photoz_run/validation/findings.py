"""Where the photo-z fail: the bins that differ from all other objects by more than chance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from photoz_run.science.redshift_distribution import SPIKE_WINDOW, Spikes
from photoz_run.validation.breakdowns import CONTINUOUS, TITLES
from photoz_run.validation.metrics import Group

SIGNIFICANCE = 5.0
"""Standard errors; a thousand tiles give no false alarm."""

BIAS_SHARE = 0.15
"""A shift of the median by less than this times the overall SMAD is of no interest."""

SCATTER_RATIO = 1.25
MIN_PAIRS = 20

# Standard errors of the median and of the SMAD of n Gaussian values, in sigma / sqrt(n).
MEDIAN_ERROR, SMAD_ERROR = 1.2533, 1.1664


@dataclass(frozen=True)
class Finding:
    """One bin that differs; ``kind`` is "bias", "scatter", "outliers" or, for a bin of n(z_phot), "spike"."""

    breakdown: str
    label: str
    n: int
    kind: str
    value: float
    usual: float
    significance: float

    def sentence(self) -> str:
        """Say it in words."""
        what = {
            "bias": f"median of normdz is {self.value:+z.4f} where {self.usual:+z.4f} is usual",
            "scatter": f"SMAD is {self.value:.4f} where {self.usual:.4f} is usual",
            "spike": f"{self.value:.0%} more galaxies than the neighbouring bins",
            "outliers": f"{self.value:.1%} lie beyond 0.15 where {self.usual:.1%} are usual",
        }[self.kind]
        return f"{TITLES[self.breakdown]} {self.label}: {what} ({self.n} galaxies, {self.significance:.0f} sigma)"


def find(
    overall: Group, breakdowns: Mapping[str, Iterable[Group]], spikes: Spikes
) -> list[Finding]:
    """Spikes of n(z_phot), and the bins whose median, SMAD or outlier fraction stands out; the most significant first.

    Bins of magnitude and redshift are left out: there the scatter is expected to change, and the report plots it.
    """
    skipped = {*CONTINUOUS, "psf", "colour_r"}
    bins = [group for name, groups in breakdowns.items() if name not in skipped for group in groups]
    found = [
        finding
        for group in bins
        if MIN_PAIRS <= group.n < overall.n
        for finding in _compare(group, overall)
    ]
    found += _spikes(spikes)
    return sorted(found, key=lambda finding: -finding.significance)


def _compare(group: Group, overall: Group) -> list[Finding]:
    """Compare a bin with all objects by the errors of Gaussian scatter, which the SMAD describes at the centre."""
    root = np.sqrt(group.n)
    value = {name: group[name].value for name in ("median_normdz", "smad", "outliers_015")}
    usual = {name: _others(group, overall, name) for name in value} | {
        "smad": overall["smad"].value
    }
    sigma = max(value["smad"], usual["smad"], 1e-9)
    shift = abs(value["median_normdz"] - usual["median_normdz"])
    ratio = value["smad"] / max(usual["smad"], 1e-9)
    chance = max(overall["outliers_015"].value * (1 - overall["outliers_015"].value), 1 / overall.n)
    tests = (
        (
            "bias",
            "median_normdz",
            shift / (MEDIAN_ERROR * sigma) * root,
            shift > BIAS_SHARE * usual["smad"]
            and abs(value["median_normdz"]) > abs(usual["median_normdz"]),
        ),
        (
            "scatter",
            "smad",
            (ratio - 1) / (SMAD_ERROR * max(ratio, 1)) * root,
            ratio > SCATTER_RATIO,
        ),
        (
            "outliers",
            "outliers_015",
            (value["outliers_015"] - usual["outliers_015"]) / np.sqrt(chance) * root,
            value["outliers_015"] > 2 * usual["outliers_015"]
            and value["outliers_015"] * group.n >= 5,
        ),
    )
    return [
        Finding(
            group.breakdown,
            group.label,
            group.n,
            kind,
            value[name],
            usual[name],
            float(significance),
        )
        for kind, name, significance, matters in tests
        if matters and significance > SIGNIFICANCE
    ]


def _spikes(spikes: Spikes) -> list[Finding]:
    """The bins of n(z_phot) that stand out from their neighbours."""
    significance = np.nan_to_num(spikes.significance_K)
    # A spike raises and lowers what its neighbours are compared with: only the highest of a window is told.
    highest = ndimage.maximum_filter1d(significance, SPIKE_WINDOW)
    rows = np.flatnonzero((significance > SIGNIFICANCE) & (significance == highest))
    return [
        Finding(
            "nz",
            f"z = {spikes.centre_K[k]:.3f}",
            int(spikes.count_K[k]),
            "spike",
            float(spikes.excess_K[k]),
            0.0,
            float(spikes.significance_K[k]),
        )
        for k in rows
    ]


def _others(group: Group, overall: Group, name: str) -> float:
    """The value of all other objects: exact for a fraction or a mean, near enough for a median."""
    others = overall.n - group.n
    return (overall.n * overall[name].value - group.n * group[name].value) / others
