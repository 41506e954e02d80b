"""Errors of the point statistics of redshifts, over groups of galaxies and over galaxies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photoz_run.science.cells import CELLS, ResidualCells, cells_for, cumulated
from photoz_run.science.resampling import Part, Rows
from photoz_run.science.statistics import (
    CENTRAL_LEVELS,
    IQR_FACTOR,
    Floats,
    normalised_residual,
    ratio,
)

LIMITS = {"outliers_005": 0.05, "outliers_015": 0.15}
CHUNK = 1 << 18
"""Galaxies whose terms are in memory at once."""


@dataclass(frozen=True)
class PointTerms:
    """What galaxies add to the sums from which every point statistic follows.

    Only galaxies with a photo-z and a spec-z count. ``inside`` says for each kind of interval
    whether the spec-z lies in it: 1, 0, or NaN where an end is missing.
    """

    z_phot_N: Floats = field(repr=False)
    z_spec_N: Floats = field(repr=False)
    cells: ResidualCells
    cell_N: NDArray[np.int16] = field(repr=False)
    """The cell of each normalised residual."""
    inside: dict[str, NDArray[np.float16]] = field(repr=False, default_factory=dict)
    weight_N: Floats | None = field(repr=False, default=None)

    def of(self, rows: Rows) -> "PointTerms":
        """The terms of some of the galaxies, in the same cells."""
        return PointTerms(
            self.z_phot_N[rows],
            self.z_spec_N[rows],
            self.cells,
            self.cell_N[rows],
            {name: inside_N[rows] for name, inside_N in self.inside.items()},
            None if self.weight_N is None else self.weight_N[rows],
        )

    def parts(self) -> Iterator[Part]:
        """What the galaxies add, `CHUNK` of them at a time; their sums are for `statistics`."""
        for start in range(0, max(len(self.z_phot_N), 1), CHUNK):
            yield self._part(slice(start, start + CHUNK))

    def _part(self, rows: slice) -> Part:
        dz_N = self.z_phot_N[rows] - self.z_spec_N[rows]
        x_N = dz_N / (1 + self.z_spec_N[rows])
        counts_N = np.isfinite(x_N)
        if self.weight_N is not None:
            counts_N &= self.weight_N[rows] > 0
        weight_N = counts_N * (1.0 if self.weight_N is None else np.nan_to_num(self.weight_N[rows]))
        # What does not count may be NaN, which no weight of 0 takes out of a sum.
        dz_N[~counts_N] = x_N[~counts_N] = 0.0
        weighted_N = weight_N * x_N
        terms = [weight_N * dz_N, weighted_N, weighted_N * x_N]
        terms += [weight_N * (np.abs(x_N) > limit) for limit in LIMITS.values()]
        for inside_N in self.inside.values():
            known_N = np.where(np.isfinite(inside_N[rows]), weight_N, 0.0)
            terms += [known_N * (inside_N[rows] > 0), known_N]
        return Part(rows, weight_N, terms, self.cell_N[rows], CELLS)

    def statistics(self, weight: Floats, *sums: Floats) -> dict[str, Floats]:
        """Every point statistic of each row of sums, those of `statistics.point_statistics`."""
        *means, count_RK = sums
        bias, mean, square = (ratio(part, weight) for part in means[:3])
        values = {"bias": bias, "mean_normdz": mean}
        values["sd_normdz"] = np.sqrt(np.maximum(square - mean**2, 0))
        for name, part in zip(LIMITS, means[3:], strict=False):
            values[name] = ratio(part, weight)
        covered = means[3 + len(LIMITS) :]
        for k, name in enumerate(self.inside):
            values[name] = ratio(covered[2 * k], covered[2 * k + 1])
        return values | quantile_statistics(self.cells, count_RK)


def quantile_statistics(cells: ResidualCells, count_RK: Floats) -> dict[str, Floats]:
    """The point statistics that rest on quantiles, of each row of counts in cells."""
    share_RK = cumulated(count_RK)
    low, quarter, centre, three_quarters, high = (
        cells.quantile(share_RK, level) for level in CENTRAL_LEVELS
    )
    scatter = cells.smad(share_RK)
    rail_limit = np.maximum(0.06, 3 * (three_quarters - quarter) / IQR_FACTOR)
    return {
        "median_normdz": centre,
        "smad": scatter,
        "sigma_68": (high - low) / 2,
        "outliers_3smad": cells.fraction_beyond(share_RK, centre, 3 * scatter),
        "outliers_rail": cells.fraction_beyond(share_RK, np.zeros_like(centre), rail_limit),
    }


def point_terms(
    z_phot_N: ArrayLike,
    z_spec_N: ArrayLike,
    intervals: Mapping[str, Sequence[ArrayLike]] | None = None,
    weight_N: ArrayLike | None = None,
) -> PointTerms:
    """The terms of galaxies.

    Parameters
    ----------
    intervals
        Lower and upper ends of predicted intervals by the name of their coverage.
    """
    z_phot, z_spec = np.asarray(z_phot_N, np.float64), np.asarray(z_spec_N, np.float64)
    inside = {name: _inside(z_spec, *ends) for name, ends in (intervals or {}).items()}
    weight = None if weight_N is None else np.asarray(weight_N, np.float64)
    x_N = normalised_residual(z_phot, z_spec)
    cells = cells_for(x_N)
    return PointTerms(z_phot, z_spec, cells, cells.of(x_N), inside, weight)


def _inside(z_N: Floats, low_N: ArrayLike, high_N: ArrayLike) -> NDArray[np.float16]:
    low, high = np.asarray(low_N), np.asarray(high_N)
    inside_N = ((low <= z_N) & (z_N <= high)).astype(np.float16)
    inside_N[np.isnan(low) | np.isnan(high) | np.isnan(z_N)] = np.nan
    return inside_N
