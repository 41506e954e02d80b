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
"""A SMAD larger by less than this factor is of no interest."""

FEWEST_OUTLIERS = 5
"""Fewer outliers in a bin say nothing."""

MIN_PAIRS = 20
"""Smaller bins are not tested."""

# Standard errors of the median and of the SMAD of n Gaussian values, in sigma / sqrt(n).
MEDIAN_ERROR, SMAD_ERROR = 1.2533, 1.1664


@dataclass(frozen=True)
class Finding:
    """One bin that differs.

    ``kind`` is "bias", "scatter", "outliers" or, for a bin of n(z_phot), "spike".
    """

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
        where = f"{TITLES[self.breakdown]} {self.label}"
        return f"{where}: {what} ({self.n} galaxies, {self.significance:.0f} sigma)"


def find(
    overall: Group, breakdowns: Mapping[str, Iterable[Group]], spikes: Spikes
) -> list[Finding]:
    """The bins whose median, SMAD or outlier fraction stands out, and spikes of n(z_phot).

    The most significant come first. Bins of numbers are left out: the scatter is expected to
    change with magnitude, redshift, colour and seeing, and the report plots it.
    """
    skipped = {*CONTINUOUS, "psf", "colour_r"}
    findings = []
    for name, groups in breakdowns.items():
        if name in skipped:
            continue
        for group in groups:
            if MIN_PAIRS <= group.n < overall.n:
                findings += _compare(group, overall)
    findings += _spikes(spikes)
    return sorted(findings, key=lambda finding: -finding.significance)


def _compare(group: Group, overall: Group) -> list[Finding]:
    """What sets a bin apart: its median, its SMAD, its fraction of outliers.

    The errors are those of Gaussian scatter, which the SMAD describes at the centre.
    """
    root = np.sqrt(group.n)
    findings = []

    def test(kind: str, value: float, usual: float, significance: float, matters: bool) -> None:
        if matters and significance > SIGNIFICANCE:
            where = (group.breakdown, group.label, group.n)
            findings.append(Finding(*where, kind, value, usual, float(significance)))

    smad, usual_smad = group["smad"].value, overall["smad"].value
    median, usual_median = group["median_normdz"].value, _others(group, overall, "median_normdz")
    shift = abs(median - usual_median)
    error = MEDIAN_ERROR * max(smad, usual_smad, 1e-9)
    matters = shift > BIAS_SHARE * usual_smad and abs(median) > abs(usual_median)
    test("bias", median, usual_median, shift / error * root, matters)

    ratio = smad / max(usual_smad, 1e-9)
    error = SMAD_ERROR * max(ratio, 1)
    test("scatter", smad, usual_smad, (ratio - 1) / error * root, ratio > SCATTER_RATIO)

    share, usual_share = group["outliers_015"].value, _others(group, overall, "outliers_015")
    overall_share = overall["outliers_015"].value
    variance = max(overall_share * (1 - overall_share), 1 / overall.n)
    matters = share > 2 * usual_share and share * group.n >= FEWEST_OUTLIERS
    test("outliers", share, usual_share, (share - usual_share) / np.sqrt(variance) * root, matters)
    return findings


def _spikes(spikes: Spikes) -> list[Finding]:
    """The bins of n(z_phot) that stand out from their neighbours."""
    significance = np.nan_to_num(spikes.significance_K)
    # A spike shifts what its neighbours are compared with, so only the highest of a window counts.
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
