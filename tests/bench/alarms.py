"""How often clean surveys raise a finding, and how often planted tiles are named.

``python -m bench.alarms [RESIDUALS.npy]`` with the residuals of a survey to draw from.
"""

import sys

import numpy as np

from support.clean_surveys import OFFSET, SCATTER, findings_of, pairs_table

SURVEYS = 1000


def false_alarms(pool_N=None) -> float:
    """The share of clean surveys of 8 to 60 tiles with any finding."""
    alarms = 0
    for seed in range(SURVEYS):
        dice = np.random.default_rng(seed)
        alarms += bool(findings_of(pairs_table(dice, dice.integers(8, 61), pool_N=pool_N), seed))
    return alarms / SURVEYS


def named(offset: float, pool_N=None) -> float:
    """The share of 200 surveys whose last tile, off by ``offset`` in normdz, is named."""
    hits = 0
    for seed in range(200):
        dice = np.random.default_rng(seed)
        columns = pairs_table(dice, dice.integers(8, 61), pool_N=pool_N)
        name = columns["KIDS_TILE"][-1]
        bad = columns["KIDS_TILE"] == name
        columns["Z_PHOT"][bad] += offset * (1 + columns["Z_SPEC"][bad])
        hits += any(finding.label == name for finding in findings_of(columns, seed))
    return hits / 200


if __name__ == "__main__":
    pool = np.load(sys.argv[1]) if len(sys.argv) > 1 else None
    print(f"clean surveys with a finding: {false_alarms(pool):.1%}")
    print(f"tiles off by 3 SMAD that are named: {named(3 * SCATTER, pool):.0%}")
    print(
        f"tiles off by 3 times the scatter of tiles that are named: {named(3 * OFFSET, pool):.0%}"
    )
