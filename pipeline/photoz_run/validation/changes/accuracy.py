"""Is one catalogue better than the other? Statistics of both on the same spectra, paired."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from scipy import stats

from photoz_run.science.many_looks import beyond_chance, excess_scatter, sigmas, student_p
from photoz_run.science.resampling import LOTS
from photoz_run.science.statistics import Floats
from photoz_run.validation.breakdowns import (
    CONTINUOUS,
    FEWEST,
    Bin,
    categories,
    colour_class,
    flag_bins,
    number_bins,
    value_bins,
)
from photoz_run.validation.metrics import (
    STATISTICS,
    Estimate,
    Sample,
    paired,
    values_of,
)
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.tables import Columns

OVERALL_LEVEL = 0.05
"""Of Holm's correction over the statistics of all galaxies."""
BINS_LEVEL = 0.005
"""Of that over all bins. Small bins have longer tails than the formulas know.

Of 80 pairs of catalogues that are equally good two had a change beyond chance in any bin.
"""
IN_BINS = ("mean_normdz", "smad", "outliers_015")
"""Statistics whose change is looked at in each bin."""
IDEAL = {"coverage_68": 0.68, "coverage_95": 0.95}
"""What a statistic should be; the others should be 0."""


RELATIVE = ("outliers_3smad", "outliers_rail")
"""Their limit goes with the scatter: fewer of them may mean a larger scatter."""


@dataclass(frozen=True)
class Change:
    """One statistic of A and of B on the same galaxies, and A minus B, paired by tile."""

    statistic: str
    a: float
    b: float
    difference: Estimate
    chance: float
    """Of so large a difference where nothing changed; NaN if it has no error."""
    beyond_chance: bool = False
    """Accounting for the number of looks."""

    @property
    def significance(self) -> float:
        """The chance as standard deviations; NaN if it is not known."""
        return sigmas(self.chance) if np.isfinite(self.chance) else float("nan")

    @property
    def verdict(self) -> str:
        """Whether A is better, worse, or not different beyond chance."""
        if not self.beyond_chance:
            return "no change beyond chance"
        if self.statistic in RELATIVE:
            return "changed"
        ideal = IDEAL.get(self.statistic, 0.0)
        return "better" if abs(self.a - ideal) < abs(self.b - ideal) else "worse"


@dataclass(frozen=True)
class BinChange:
    """The changes of one set of galaxies."""

    breakdown: str
    label: str
    n: int
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Accuracy:
    """Statistics of both catalogues on the galaxies that have a redshift in both and a spec-z."""

    n: int
    without_a: int
    """Galaxies with spec-z that have a redshift in B alone."""
    without_b: int
    errors_over: str
    overall: tuple[Change, ...]
    bins: tuple[BinChange, ...]

    @property
    def beyond_chance(self) -> list[tuple[BinChange, Change]]:
        """Bins in which a statistic changed by more than chance, the clearest first."""
        looks = [(part, change) for part in self.bins for change in part.changes]
        real = [look for look in looks if look[1].beyond_chance]
        return sorted(real, key=lambda look: look[1].chance)

    @property
    def scatter(self) -> float:
        """SMAD of normdz in B."""
        return next(change.b for change in self.overall if change.statistic == "smad")


def accuracy(
    ours: Sample,
    theirs: Sample,
    columns: Columns,
    settings: ValidationSettings,
    errors_over: str,
    without: tuple[int, int],
) -> Accuracy:
    """Statistics of A (ours) and B (theirs) for all, and in bins of ``columns``.

    ``without`` are the galaxies left out since A, or B, has no redshift for them.
    """
    intervals = ours.terms.inside.keys() & theirs.terms.inside.keys()
    names = [name for name in STATISTICS if name not in IDEAL or name in intervals]
    overall = _changes(ours, theirs, names)
    by_galaxy = {change.statistic: change.difference.by_galaxy for change in overall}
    width = _width(ours, theirs)
    bins = []
    for name, parts in _bins(columns, settings):
        for part in parts:
            if len(part.rows) < FEWEST:
                continue
            both = ours.of(part.rows), theirs.of(part.rows)
            if name == "tile":
                wider = max(1.0, _width(*both) / width) if width > 0 else 1.0
                larger = wider * np.sqrt(len(columns["Z_PHOT"]) / len(part.rows))
                here = _changes_of_tile(*both, {key: larger * by_galaxy[key] for key in IN_BINS})
            else:
                here = _changes(*both, IN_BINS)
            bins.append(BinChange(name, part.label, len(part.rows), here))
    return Accuracy(
        n=len(ours.terms.z_phot_N),
        without_a=without[0],
        without_b=without[1],
        errors_over=errors_over,
        overall=_marked(overall, OVERALL_LEVEL),
        bins=tuple(_marked_bins(_beside_other_tiles(bins))),
    )


def _bins(columns: Columns, settings: ValidationSettings) -> Iterator[tuple[str, list[Bin]]]:
    """The bins of every breakdown that the columns allow."""
    breakdowns: dict[str, list[Bin] | str] = {}
    for name in ("r", "z_phot", "z_spec"):
        edges = settings.edges.get(name)
        breakdowns[name] = number_bins(columns, CONTINUOUS[name], settings.bins, edges)
    red = colour_class(columns, settings.red)
    breakdowns["colour"] = (
        red if isinstance(red, str) else categories([("red", red), ("blue", ~red)])
    )
    breakdowns["flag"] = flag_bins(columns)
    if "KIDS_TILE" in columns:
        breakdowns["tile"] = value_bins(columns["KIDS_TILE"])
    for name, bins in breakdowns.items():
        if not isinstance(bins, str):
            yield name, bins


def _width(ours: Sample, theirs: Sample) -> float:
    """How far the redshifts of A scatter about those of B."""
    return float(np.std(ours.terms.z_phot_N - theirs.terms.z_phot_N))


def _changes_of_tile(
    ours: Sample, theirs: Sample, errors: Mapping[str, float]
) -> tuple[Change, ...]:
    """The changes of one tile.

    Their errors are those of all pairs by galaxy, for the tile's number of galaxies and its scatter
    of redshifts of A about those of B. A bootstrap of each of a thousand tiles takes minutes.
    """
    a, b = values_of(ours.terms), values_of(theirs.terms)
    n = len(ours.terms.z_phot_N)
    changes = []
    for name, error in errors.items():
        value = a[name] - b[name]
        difference = Estimate(value, value - error, value + error, error, 1)
        changes.append(Change(name, a[name], b[name], difference, _chance(difference, n)))
    return tuple(changes)


def _beside_other_tiles(bins: Sequence[BinChange]) -> list[BinChange]:
    """The bins, with chances of tiles that count how much the changes of tiles scatter.

    Two runs differ in every tile a little. One stands out if its change is too far from that of
    the others for its own error and this scatter together.
    """
    tiles = [part for part in bins if part.breakdown == "tile"]
    if len(tiles) < 2:
        return list(bins)
    chance_TS = np.column_stack([_tile_chances(tiles, k) for k in range(len(IN_BINS))])
    beside = []
    for part, chance_S in zip(tiles, chance_TS.tolist(), strict=True):
        pairs = zip(part.changes, chance_S, strict=True)
        changes = tuple(replace(change, chance=chance) for change, chance in pairs)
        beside.append(replace(part, changes=changes))
    return [*(part for part in bins if part.breakdown != "tile"), *beside]


def _tile_chances(tiles: Sequence[BinChange], k: int) -> Floats:
    """The chance of the change of each tile in the statistic ``k``, beside the other tiles."""
    differences = [part.changes[k].difference for part in tiles]
    value_T = np.array([difference.value for difference in differences])
    error_T = np.array([difference.error for difference in differences])
    scatter = excess_scatter(value_T, error_T)
    with np.errstate(divide="ignore", invalid="ignore"):
        t_T = (value_T - np.median(value_T)) / np.hypot(error_T, scatter)
    freedom = len(tiles) - 1 if scatter else np.inf
    return np.asarray(2 * stats.t.sf(np.abs(t_T), freedom))


def _changes(ours: Sample, theirs: Sample, names: Sequence[str]) -> tuple[Change, ...]:
    a, b = values_of(ours.terms), values_of(theirs.terms)
    differences = paired(ours, theirs, names)
    n = len(ours.terms.z_phot_N)
    return tuple(
        Change(name, a[name], b[name], differences[name], _chance(differences[name], n))
        for name in names
    )


def _chance(difference: Estimate, n: int) -> float:
    """The chance of a difference of ``n`` galaxies; in a single tile its error is by galaxy."""
    error = float(np.fmax(difference.error, difference.by_galaxy))
    groups = difference.groups if difference.groups > 1 else min(n, LOTS)
    return student_p(difference.value, error, groups, tails=2)


def _marked(changes: Sequence[Change], level: float) -> tuple[Change, ...]:
    """The changes with the word whether each is beyond chance among them."""
    beyond = beyond_chance([change.chance for change in changes], level)
    marked = zip(changes, beyond.tolist(), strict=True)
    return tuple(replace(change, beyond_chance=real) for change, real in marked)


def _marked_bins(bins: Sequence[BinChange]) -> Iterator[BinChange]:
    """The same for the changes of all bins together."""
    marked = iter(_marked([change for part in bins for change in part.changes], BINS_LEVEL))
    for part in bins:
        yield replace(part, changes=tuple(islice(marked, len(part.changes))))
