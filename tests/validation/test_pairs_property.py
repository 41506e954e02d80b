"""Pairs of many spec-z, duplicates and contradictions among them, against the plain rules."""

import numpy as np
import pytest

from photoz_run.science import matching
from photoz_run.science.matching import PositionMatch
from photoz_run.validation.pairs import AGREEMENT, _one_each
from photoz_run.validation.specz import SpecSample


def one_each_plainly(z_M, source_M, match, sources):
    """Source by source: sorted by table, separation and row; none if two disagree."""
    taken, duplicates, conflicting = [], 0, 0
    for source in range(sources):
        rows = np.flatnonzero(match.index_N == source).tolist()
        if not rows:
            continue
        z = z_M[rows]
        if z.max() - z.min() > AGREEMENT * (1 + z.min()):
            conflicting += len(rows)
            continue
        taken.append(min(rows, key=lambda row: (source_M[row], match.separation_N[row], row)))
        duplicates += len(rows) - 1
    return taken, duplicates, conflicting


@pytest.mark.parametrize("seed", range(60))
def test_one_spec_z_is_taken_of_each_source(seed):
    rng = np.random.default_rng(seed)
    number, sources = int(rng.integers(1, 200)), int(rng.integers(1, 150))
    index_M = rng.integers(-1, sources, number)
    index_M[0] = 0
    # Coarse values: equal separations and redshifts that agree occur.
    separation_M = np.where(index_M >= 0, rng.integers(0, 4, number) / 10, np.inf)
    z_M = 0.2 + rng.choice([0.0, 0.0005, 0.001, 0.1], number, p=[0.7, 0.1, 0.1, 0.1])
    source_M = rng.integers(0, 3, number).astype(np.int16)
    match = PositionMatch(index_M, separation_M, (index_M >= 0).astype(np.int32))
    sample = SpecSample(np.zeros(number), np.zeros(number), z_M, source_M, {})
    taken, duplicates, conflicting = _one_each(sample, match, sources)
    expected = one_each_plainly(z_M, source_M, match, sources)
    assert (taken.tolist(), duplicates, conflicting) == expected


def test_positions_without_a_declination_match_nothing_in_zones(monkeypatch):
    monkeypatch.setattr(matching, "ZONE", 3)
    nothing = np.full(5, np.nan)
    assert not matching.match_positions(nothing, nothing, nothing, nothing, 1.0).matched_N.any()


def test_positions_of_one_declination_match_in_zones(monkeypatch):
    monkeypatch.setattr(matching, "ZONE", 3)
    ra_N, dec_N = np.arange(8.0), np.full(8, -30.0)
    match = matching.match_positions(ra_N, dec_N, ra_N[::-1], dec_N, 1.0)
    assert match.index_N.tolist() == list(range(7, -1, -1))
