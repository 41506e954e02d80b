"""How often clean surveys raise a finding, and how often planted tiles are named.

``python -m bench.alarms [PAIRS.parquet] [FIRST_SEED]``: made-up surveys, or such as are drawn from
the tiles of a validation's pairs.
"""

import sys
from collections import Counter

import numpy as np
import pyarrow.parquet as pq

from support.clean_surveys import OFFSET, SCATTER, findings_of, pairs_table

SURVEYS, PLANTED = 1000, 50
TILES = (8, 20, 60)
OFFSETS = (3 * OFFSET, 5 * OFFSET, 7 * OFFSET, 10 * OFFSET, 3 * SCATTER)
"""In normdz: times the scatter of made-up tiles, and times that of redshifts."""


def pool_of(path):
    """Residuals and redshifts of the galaxies of each tile."""
    table = pq.read_table(path, columns=["KIDS_TILE", "Z_PHOT", "Z_SPEC"]).drop_null()
    tile_N, z_phot_N, z_N = (column.to_numpy() for column in table.columns)
    x_N = (z_phot_N - z_N) / (1 + z_N)
    return [(x_N[tile_N == name], z_N[tile_N == name]) for name in np.unique(tile_N)]


def false_alarms(seed, pool):
    """What is found in clean surveys of 8 to 60 tiles."""
    kinds, alarms = Counter(), 0
    for k in range(seed, seed + SURVEYS):
        dice = np.random.default_rng(k)
        found = findings_of(pairs_table(dice, dice.integers(8, 61), pool=pool), k)
        alarms += bool(found)
        kinds.update({f"{finding.breakdown}: {finding.kind}" for finding in found})
    return alarms / SURVEYS, dict(kinds)


def named(seed, tiles, offset, pool):
    """The share of surveys whose last tile, off by ``offset`` in normdz, is named."""
    hits = 0
    for k in range(seed, seed + PLANTED):
        dice = np.random.default_rng(k)
        columns = pairs_table(dice, tiles, pool=pool)
        name = columns["KIDS_TILE"][-1]
        bad = columns["KIDS_TILE"] == name
        columns["Z_PHOT"][bad] += offset * (1 + columns["Z_SPEC"][bad])
        hits += any(finding.label == name for finding in findings_of(columns, k))
    return hits / PLANTED


if __name__ == "__main__":
    pool = pool_of(sys.argv[1]) if sys.argv[1:] and sys.argv[1].endswith(".parquet") else None
    seed = int(sys.argv[-1]) if sys.argv[1:] and sys.argv[-1].isdecimal() else 0
    share, kinds = false_alarms(seed, pool)
    print(f"clean surveys with a finding: {share:.1%} of {SURVEYS}; {kinds}", flush=True)
    for tiles in TILES:
        shares = [f"{offset}: {named(seed, tiles, offset, pool):.0%}" for offset in OFFSETS]
        print(f"one of {tiles} tiles off by so much is named, {', '.join(shares)}", flush=True)
