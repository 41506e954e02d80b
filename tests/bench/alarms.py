"""How often clean surveys raise a finding, and how often planted tiles are named.

``python -m bench.alarms [POOL] [FIRST_SEED]``: of made-up surveys, or of such as are drawn from
POOL: its tiles with their galaxies, both with replacement. POOL is the ``pairs.parquet`` of a
validation, or a kept set (``photoz simulate OUT --stamps``), which the bundled model measures here.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from photoz_models.kept_sets import load_examples
from photoz_models.session import PhotozModel
from photoz_run.config import model_path
from photoz_run.training.comparison import predict
from photoz_run.validation.findings import suspects
from support.clean_surveys import error_of_tile, found, judged, pairs_table, tiles_judged

SURVEYS, PLANTED = 1000, 60
TILES = (8, 20, 60)
OFFSETS = (3, 4, 5, 7, 10)
"""Of a tile, in units of the expected error of its median."""


def pool_of(path):
    """Residuals and redshifts of the galaxies of each tile."""
    if path.is_dir():
        examples = load_examples(path)
        model = PhotozModel.load(model_path("hybrid-sim"), "cpu", threads=1)
        z_phot_N = predict(model, examples, np.arange(len(examples)))[0]
        tile_N, z_N = examples.tile_N, examples.z_N
    else:
        table = pq.read_table(path, columns=["KIDS_TILE", "Z_PHOT", "Z_SPEC"]).drop_null()
        tile_N, z_phot_N, z_N = (column.to_numpy() for column in table.columns)
    x_N = (z_phot_N - z_N) / (1 + z_N)
    return [(x_N[tile_N == name], z_N[tile_N == name]) for name in np.unique(tile_N)]


def false_alarms(seed, pool):
    """What clean surveys of 8 to 60 tiles raise, and how many tiles they list beside the expected
    number.
    """
    kinds, alarms, listed, expected = Counter(), 0, 0, 0.0
    for k in range(seed, seed + SURVEYS):
        dice = np.random.default_rng(k)
        columns = pairs_table(dice, dice.integers(8, 61), pool=pool)
        overall, groups = judged(columns, k)
        raised = found(columns, overall, groups)
        alarms += bool(raised)
        kinds.update({f"{finding.breakdown}: {finding.kind}" for finding in raised})
        looked_at = suspects(overall, groups["tile"])
        listed, expected = listed + len(looked_at.tiles), expected + looked_at.expected
    return alarms / SURVEYS, dict(kinds), listed / expected


def named(seed, tiles, pool):
    """How often a tile that is off is a finding, and how often it is listed, by offset."""
    raised, listed = defaultdict(int), defaultdict(int)
    for k in range(seed, seed + PLANTED):
        columns = pairs_table(np.random.default_rng(k), tiles, pool=pool)
        name = columns["KIDS_TILE"][-1]
        bad, clean = columns["KIDS_TILE"] == name, columns["Z_PHOT"].copy()
        sigma, groups = error_of_tile(columns, name), judged(columns, k)[1]
        for offset in OFFSETS:
            columns["Z_PHOT"] = clean + offset * sigma * bad * (1 + columns["Z_SPEC"])
            # One tile changes the categories by next to nothing: they need not be judged again.
            overall, groups["tile"] = tiles_judged(columns, k)
            raised[offset] += any(one.label == name for one in found(columns, overall, groups))
            looked_at = suspects(overall, groups["tile"]).tiles
            listed[offset] += any(one.label == name and one.kind == "bias" for one in looked_at)
    return {offset: (raised[offset] / PLANTED, listed[offset] / PLANTED) for offset in OFFSETS}


def main():
    """Print both rates."""
    arguments = sys.argv[1:]
    pool = pool_of(Path(arguments[0])) if arguments and not arguments[0].isdecimal() else None
    seed = int(arguments[-1]) if arguments and arguments[-1].isdecimal() else 0
    for tiles in TILES:
        rates = named(seed, tiles, pool)
        words = [f"{k} sigma: {a:.0%} found, {b:.0%} listed" for k, (a, b) in rates.items()]
        print(f"one of {tiles} tiles off, {'; '.join(words)}", flush=True)
    share, kinds, ratio = false_alarms(seed, pool)
    print(f"clean surveys with a finding: {share:.1%} of {SURVEYS}; {kinds}")
    print(f"tiles listed in clean surveys, over the expected number: {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
