"""Quantiles of counts in cells are those of the values; sky regions are compact and equal."""

import numpy as np
import pytest

from photoz_run.science.point_errors import point_terms
from photoz_run.science.resampling import resample
from photoz_run.science.sky_regions import sky_regions
from photoz_run.science.statistics import point_statistics, smad


@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_of_sums_are_those_of_the_galaxies(weighted):
    dice = np.random.default_rng(1)
    z = dice.gamma(6, 0.038, 20_000)
    z_phot = z + 0.015 * dice.standard_t(3, 20_000) * (1 + z)
    z_phot[:50] = np.nan
    weight = dice.exponential(1, 20_000) if weighted else None
    terms = point_terms(z_phot, z, weight_N=weight)
    sums = resample(np.arange(20_000) % 7).sums(terms.parts())
    values = terms.statistics(*(part.sum(axis=0, keepdims=True) for part in sums.of_groups))
    for name, exact in point_statistics(z_phot, z, weight).items():
        assert values[name][0] == pytest.approx(float(exact), rel=0.01, abs=3e-5), name


def test_errors_of_quantiles_are_those_of_the_formulas():
    """Of n Gaussian values: 1.2533 sigma / sqrt(n) for the median, 1.1664 for the SMAD."""
    dice = np.random.default_rng(2)
    z = np.full(40_000, 0.2)
    terms = point_terms(z + 0.015 * dice.normal(size=40_000) * 1.2, z)
    resampling = resample(np.arange(40_000) % 100, replicates=1000)
    spreads = resampling.spreads(terms.statistics, resampling.sums(terms.parts()))
    for name, factor in (("median_normdz", 1.2533), ("smad", 1.1664)):
        assert spreads[name].error == pytest.approx(factor * 0.015 / 200, rel=0.2)
        assert spreads[name].by_galaxy == pytest.approx(factor * 0.015 / 200, rel=0.15)


def test_intervals_of_median_and_smad_hold_the_truth_about_two_times_in_three():
    """In 100 surveys whose tiles share an offset; 300 of them give 66% and 67%."""
    dice = np.random.default_rng(77)

    def residuals(tile_N):
        shared_N = dice.normal(0, 0.004, tile_N.max() + 1)[tile_N]
        return 0.015 * dice.standard_t(5, len(tile_N)) + shared_N

    everything = residuals(np.arange(1_000_000))
    truth = {"median_normdz": 0.0, "smad": float(smad(everything))}
    inside = dict.fromkeys(truth, 0)
    for seed in range(100):
        tiles = dice.integers(8, 61)
        tile_N = np.repeat(np.arange(tiles), dice.integers(50, 300, tiles))
        z_N = np.full(len(tile_N), 0.2)
        terms = point_terms(z_N + 1.2 * residuals(tile_N), z_N)
        resampling = resample(tile_N, seed=seed)
        spreads = resampling.spreads(terms.statistics, resampling.sums(terms.parts()))
        values = point_statistics(terms.z_phot_N, z_N)
        for name, true in truth.items():
            low = values[name] - spreads[name].below
            inside[name] += low <= true <= values[name] + spreads[name].above
    assert all(0.55 <= number / 100 <= 0.80 for number in inside.values()), inside


@pytest.mark.parametrize("z_phot", [[], [0.2], [0.2] * 30, [np.nan] * 30])
def test_nothing_to_resolve(z_phot):
    """No galaxy, one, many alike, or none with a redshift."""
    terms = point_terms(z_phot, np.full(len(z_phot), 0.2))
    resampling = resample(np.zeros(len(z_phot), int))
    spreads = resampling.spreads(terms.statistics, resampling.sums(terms.parts()))
    assert not spreads["smad"].error > 1e-6


def test_regions_of_the_sky_are_compact_and_equal():
    dice = np.random.default_rng(3)
    ra = np.concatenate([dice.uniform(350, 380, 4000) % 360, dice.uniform(150, 190, 4000)])
    dec = np.concatenate([dice.uniform(-35, -28, 4000), dice.uniform(-2, 3, 4000)])
    region_N = sky_regions(ra, dec)
    assert np.bincount(region_N).tolist() == [250] * 32
    for region in range(32):
        here = region_N == region
        assert np.ptp(dec[here]) < 8
        assert min(np.ptp(ra[here]), np.ptp((ra[here] + 180) % 360)) < 12
    assert sky_regions(ra[:30], dec[:30]).max() == 0
    assert sky_regions([], []).shape == (0,)
