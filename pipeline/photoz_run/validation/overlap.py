"""Repeatability: sources that were measured in two tiles."""

from dataclasses import dataclass

import numpy as np

from photoz_run.science.statistics import median, smad
from photoz_run.validation.tables import Columns


@dataclass(frozen=True)
class Repeatability:
    """Differences of two measurements of one source, (z_1 - z_2) / (1 + mean z).

    ``scatter`` is their SMAD divided by sqrt(2): the random error of one measurement, as far as
    pixels and zero-points differ between tiles. ``pull`` is the SMAD of the differences in units
    of the quoted errors; it is 1 if these are right.
    """

    n: int
    median: float
    scatter: float
    pull: float


def repeatability(repeats: Columns) -> Repeatability:
    """Compare the first two measurements of each repeated ID; n = 0 and NaN if there are none."""
    if not len(repeats.get("ID", ())):
        return Repeatability(0, np.nan, np.nan, np.nan)
    id_N = repeats["ID"].astype(str)
    order = np.argsort(id_N, kind="stable")
    sorted_id_N = id_N[order]
    starts = np.append(True, sorted_id_N[1:] != sorted_id_N[:-1])
    first = np.flatnonzero(starts)
    a, b = order[first], order[first + 1]
    z_a, z_b = repeats["Z_PHOT"][a], repeats["Z_PHOT"][b]
    difference = (z_a - z_b) / (1 + (z_a + z_b) / 2)
    pull = np.nan
    if "Z_PHOT_LO68" in repeats and "Z_PHOT_HI68" in repeats:
        width = repeats["Z_PHOT_HI68"] - repeats["Z_PHOT_LO68"]
        error = width.astype(np.float64) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (z_a - z_b) / np.hypot(error[a], error[b])
        pull = float(smad(np.where(np.isfinite(ratio), ratio, np.nan)))
    return Repeatability(
        n=int(np.isfinite(difference).sum()),
        median=float(median(difference)),
        scatter=float(smad(difference) / np.sqrt(2)),
        pull=pull,
    )
