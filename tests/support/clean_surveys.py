"""Tables of pairs without pixels: surveys whose tiles share offsets, with or without faults."""

import numpy as np

from photoz_run.science.many_looks import excess_scatter
from photoz_run.science.redshift_distribution import find_spikes
from photoz_run.science.resampling import resample
from photoz_run.validation.breakdowns import break_down
from photoz_run.validation.findings import find
from photoz_run.validation.grouping import group_pairs
from photoz_run.validation.metrics import group_of, sample
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.specz import SpecSample

SCATTER, OFFSET = 0.015, 0.002
"""Scale of normdz in a tile, and of what a tile shares."""
SMOOTHING = 0.02
"""Of redshifts that are drawn: a third of the usual bandwidth for tiles of 31 galaxies."""


def residuals(dice, number):
    """Residuals with the wings of a real survey, of scale `SCATTER`."""
    return SCATTER * dice.standard_t(5, number)


def pairs_table(dice, tiles, per_tile=100, pool=None):
    """Columns of pairs: tiles of different sizes, with seeing and zero-points of their own.

    ``pool`` holds residuals and redshifts of the galaxies of each tile of a survey: tiles are drawn
    from it, and their galaxies, in place of made-up ones.
    """
    number_T = dice.integers(per_tile // 2, 2 * per_tile, tiles)
    drawn = [
        _tile(dice, number) if pool is None else _drawn(dice, pool[dice.integers(len(pool))])
        for number in number_T
    ]
    tile_N = np.repeat(np.arange(tiles), [len(z) for _, z in drawn])
    x, z = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    n = len(x)
    return {
        "RA": 180 + tile_N + dice.random(n),
        "DEC": dice.random(n),
        "KIDS_TILE": np.array([f"KIDS_{180 + t}.0_0.5" for t in range(tiles)], object)[tile_N],
        "Z_SPEC": z,
        "Z_PHOT": z + x * (1 + z),
        "PHOTOZ_FLAG": (dice.random(n) < 0.05).astype(np.int32),
        "MASK": (dice.random(n) < 0.1).astype(np.int32),
        "SPEC_SOURCE": dice.integers(0, 2, n),
    }


def _tile(dice, number):
    """Residuals with a width and an offset that the tile shares, and redshifts."""
    x = residuals(dice, number) * np.exp(0.05 * dice.normal()) + dice.normal(0, OFFSET)
    return x, dice.gamma(6, 0.038, number) + 0.01


def _drawn(dice, tile):
    """Galaxies of a tile with replacement, their redshifts smoothed (Silverman & Young 1987).

    A redshift that is drawn twice would be a spike of n(z) that no survey has.
    """
    rows = dice.integers(0, len(tile[0]), len(tile[0]))
    return tile[0][rows], np.abs(tile[1][rows] + SMOOTHING * dice.normal(size=len(rows)))


def judged(columns, seed=0, surveys=("GAMA", "SDSS")):
    """Statistics of all pairs and of each breakdown, without the bins of numbers.

    What stands out rests on categories and tiles alone.
    """
    specz = SpecSample(*np.zeros((4, 0)), dict.fromkeys(surveys))
    pairs = sample(columns, resample(group_pairs(columns).group_N, seed=seed))
    overall = group_of("all", "all", pairs)
    nowhere = dict.fromkeys(("z_phot", "z_spec"), (-2.0, -1.0))
    settings = ValidationSettings(edges=nowhere)
    return overall, break_down(columns, pairs, overall, specz, settings)[0]


def tiles_judged(columns, seed=0):
    """Statistics of all pairs and of each tile: a fraction of the time."""
    fewer = {name: columns[name] for name in columns if name not in ("PHOTOZ_FLAG", "MASK")}
    overall, groups = judged(fewer, seed, surveys=())
    return overall, groups["tile"]


def findings_of(columns, seed=0):
    """What a validation of the pairs says stands out."""
    return found(columns, *judged(columns, seed))


def found(columns, overall, groups):
    """What stands out among judged pairs."""
    return find(overall, groups, find_spikes(columns["Z_PHOT"], overall["smad"].value))


def error_of_tile(columns, name):
    """The expected error of a tile's median: of its own galaxies, and the scatter of the tiles."""
    overall, tiles = tiles_judged(columns)
    n_T = np.array([group.n for group in tiles])
    value_T = np.array([group["median_normdz"].value for group in tiles])
    error_T = overall["median_normdz"].by_galaxy * np.sqrt(overall.n / n_T)
    here = [group.label for group in tiles].index(name)
    return float(np.hypot(error_T[here], excess_scatter(value_T, error_T)))
