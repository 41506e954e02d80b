"""Other redshift columns are compared on the same galaxies, so that common errors cancel."""

import numpy as np
import pytest

from photoz_run.science.resampling import resample
from photoz_run.science.statistics import normalised_residual, smad
from photoz_run.validation.metrics import compare, measure, sample


@pytest.fixture
def columns():
    rng = np.random.default_rng(1)
    z = rng.uniform(0.05, 0.5, 3000)
    common = 0.015 * rng.standard_normal(3000)
    ours = z + common * (1 + z)
    theirs = z + (common + 0.005 * rng.standard_normal(3000) + 0.002) * (1 + z)
    return {"Z_SPEC": z, "Z_PHOT": ours, "Z_B": theirs, "W": rng.uniform(0.5, 2, 3000)}


def every(columns):
    return sample(columns, resample(np.arange(3000) % 40))


@pytest.mark.parametrize("weight", ["", "W"])
def test_the_same_galaxies(columns, weight):
    columns["Z_PHOT"][:10], columns["Z_B"][10:25], columns["Z_B"][25:30] = np.nan, np.nan, -99.0
    group, paired = compare(columns, "Z_B", every(columns), weight)
    rows = slice(30, None)
    w = columns["W"][rows] if weight else None
    ours, theirs = (
        float(smad(normalised_residual(columns[c][rows], columns["Z_SPEC"][rows]), w))
        for c in ("Z_PHOT", "Z_B")
    )
    assert group.n == 2970
    assert group["smad"].value == pytest.approx(theirs)
    assert paired["smad"].value == pytest.approx(ours - theirs)


def test_paired_errors_are_smaller_than_unpaired_ones(columns):
    group, paired = compare(columns, "Z_B", every(columns))
    ours = measure(every(columns))
    assert paired["bias"].error < 0.5 * np.hypot(ours["bias"].error, group["bias"].error)
    assert paired["bias"].value == pytest.approx(-0.002 * 1.27, abs=6e-4)
    assert paired["smad"].high < 0


def test_a_column_beside_itself_differs_by_nothing(columns):
    _, paired = compare(columns | {"Z_B": columns["Z_PHOT"]}, "Z_B", every(columns))
    assert all((e.value, e.low, e.high) == (0, 0, 0) for e in paired.values())


def test_nothing_in_common(columns):
    group, paired = compare(columns | {"Z_B": np.full(3000, np.nan)}, "Z_B", every(columns))
    assert group.n == 0
    assert np.isnan(paired["smad"].value)
