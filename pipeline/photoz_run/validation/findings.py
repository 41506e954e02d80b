"""Where the photo-z fail: the bins that differ from all other objects by more than chance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from photoz_run.science.many_looks import (
    beyond_chance,
    binomial_p,
    deviant_p,
    sigmas,
    student_p,
)
from photoz_run.science.redshift_distribution import SPIKE_WINDOW, Spikes
from photoz_run.validation.breakdowns import CATEGORIES, TITLES
from photoz_run.validation.metrics import Group
from photoz_run.wording import counted

LEVEL = 0.05
"""Of Holm's correction over all looks: at most so many clean surveys raise any finding."""

LOOK_AT = 0.05
"""Chance below which a tile is worth a look: so many of clean tiles are listed."""
LOOKED_AT = ("bias", "scatter")
"""What tiles are listed for. Outliers of one tile are too few to be counted so finely."""

BIAS_SHARE = 0.15
"""A shift of the median by less than this times the overall SMAD is of no interest."""

SCATTER_RATIO = 1.25
"""A SMAD larger by less than this factor is of no interest."""

FEWEST_OUTLIERS = 5
"""Fewer outliers in a bin say nothing."""

MIN_PAIRS = 20
"""Smaller bins are not tested."""

TINY = 1e-12
"""Of a SMAD: redshifts that are all right have none."""

KINDS = (
    ("bias", "median_normdz", 2),
    ("scatter", "smad", 1),
    ("outliers", "outliers_015", 1),
)
"""What is looked at in a bin: the statistic, and whether both signs are a fault."""


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


@dataclass(frozen=True)
class Suspects:
    """Tiles that may be off, the most deviant first: a list to look at, no findings.

    So many entries as ``expected`` are there by chance where all tiles are alike, more where tiles
    hold few galaxies.
    """

    tiles: tuple[Finding, ...] = ()
    expected: float = 0.0

    def sentence(self) -> str:
        """Say how many there are, and how many chance makes; "" without tiles to test."""
        if not self.expected:
            return ""
        number = counted(len(self.tiles), "entry", "entries")
        return f"tiles to look at: {number}, {self.expected:.1f} or more expected by chance"


@dataclass(frozen=True)
class _Look:
    """One comparison: what was seen, its chance, and whether it is large enough to matter."""

    finding: Finding
    chance: float
    matters: bool


def find(
    overall: Group, breakdowns: Mapping[str, Sequence[Group]], spikes: Spikes
) -> list[Finding]:
    """The bins whose median, SMAD or outlier fraction stands out, and spikes of n(z_phot).

    Holm's correction accounts for the number of bins that are looked at. The most significant come
    first. Bins of numbers are left out: the scatter is expected to change with magnitude,
    redshift, colour and seeing, and the report plots it.
    """
    looks = [*_spikes(spikes), *_tiles(breakdowns.get("tile", ()), overall)]
    for name in CATEGORIES:
        for group in breakdowns.get(name, ()):
            if MIN_PAIRS <= group.n <= overall.n - MIN_PAIRS:
                looks += _category(group, overall)
    beyond = beyond_chance([look.chance for look in looks], LEVEL)
    findings = [
        look.finding for look, real in zip(looks, beyond, strict=True) if real and look.matters
    ]
    return sorted(findings, key=lambda finding: -finding.significance)


def suspects(overall: Group, tiles: Sequence[Group]) -> Suspects:
    """The tiles whose median or SMAD is off with a chance below `LOOK_AT`.

    A tile is compared with the others as for a finding, but the number of looks is not accounted
    for. So a tile that is off by three of its own errors is listed in most cases, and chance lists
    others, too.
    """
    looks = [
        look
        for look in _tiles(tiles, overall)
        if look.finding.kind in LOOKED_AT and np.isfinite(look.chance)
    ]
    listed = sorted((look for look in looks if look.chance < LOOK_AT), key=lambda k: k.chance)
    return Suspects(tuple(look.finding for look in listed), LOOK_AT * len(looks))


def _category(group: Group, overall: Group) -> Iterator[_Look]:
    """A category beside all other pairs: its errors are those of the difference, by group."""
    for kind, statistic, tails in KINDS:
        difference = group.contrasts[statistic]
        error = np.fmax(difference.error, difference.by_galaxy)
        chance = student_p(difference.value, error, difference.groups, tails)
        yield _look(group, overall, kind, statistic, chance)


def _tiles(groups: Sequence[Group], overall: Group) -> Iterator[_Look]:
    """Each tile beside the others.

    Tiles differ from each other, for they have a seeing and zero-points of their own. One stands
    out if it is too far off for its own error and the scatter of the other tiles together.
    """
    large = [group for group in groups if MIN_PAIRS <= group.n < overall.n]
    n_T = np.array([group.n for group in large])
    for kind, statistic, tails in KINDS:
        value_T = np.array([group[statistic].value for group in large])
        error_T = overall[statistic].by_galaxy * np.sqrt(overall.n / np.maximum(n_T, 1))
        if kind == "scatter":
            # The logarithm of a scatter has the same error whatever it is, and is symmetrical.
            usable_T = np.where(value_T > 0, value_T, np.nan)
            value_T, error_T = np.log(usable_T), error_T / max(overall[statistic].value, TINY)
        for group, chance in zip(large, deviant_p(value_T, error_T, tails), strict=True):
            yield _look(group, overall, kind, statistic, float(chance))


def _look(group: Group, overall: Group, kind: str, statistic: str, chance: float) -> _Look:
    """What is seen in one statistic of a bin."""
    value, usual = group[statistic].value, _others(group, overall, statistic)
    smad = overall["smad"].value
    if kind == "bias":
        matters = abs(value - usual) > BIAS_SHARE * smad and abs(value) > abs(usual)
    elif kind == "scatter":
        usual = smad
        matters = value > SCATTER_RATIO * smad
    else:
        number = value * group.n
        matters = value > 2 * usual and number >= FEWEST_OUTLIERS
        # A few outliers are no Gaussian number.
        share = max(overall[statistic].value, 1 / overall.n)
        chance = float(np.fmax(chance, binomial_p(number, group.n, share)))
    where = (group.breakdown, group.label, group.n)
    return _Look(Finding(*where, kind, value, usual, sigmas(chance)), chance, matters)


def _spikes(spikes: Spikes) -> list[_Look]:
    """The bins of n(z_phot) beside their neighbours."""
    significance = np.nan_to_num(spikes.significance_K)
    # A spike shifts what its neighbours are compared with, so only the highest of a window counts.
    highest = ndimage.maximum_filter1d(significance, SPIKE_WINDOW)
    looks = []
    for k in np.flatnonzero(np.isfinite(spikes.significance_K)):
        label, count = f"z = {spikes.centre_K[k]:.3f}", int(spikes.count_K[k])
        excess, sigma = float(spikes.excess_K[k]), float(spikes.significance_K[k])
        finding = Finding("nz", label, count, "spike", excess, 0.0, sigma)
        chance = float(spikes.chance_K[k])
        looks.append(_Look(finding, chance, bool(significance[k] == highest[k])))
    return looks


def _others(group: Group, overall: Group, name: str) -> float:
    """The value of all other objects: exact for a fraction or a mean, near enough for a median."""
    others = overall.n - group.n
    return (overall.n * overall[name].value - group.n * group[name].value) / others
