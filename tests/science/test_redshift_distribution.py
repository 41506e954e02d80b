"""Spikes narrower than the scatter of the photo-z are found; structure of the sky is none."""

import numpy as np
import pytest

from photoz_run.science.redshift_distribution import (
    find_spikes,
    imprint,
    smooth_without_centre,
    spike_chance,
)

SCATTER = 0.016


def smooth_sample(n, seed):
    rng = np.random.default_rng(seed)
    return rng.gamma(6, 0.038, n) + 0.01


@pytest.mark.parametrize("n", [3_000, 100_000])
def test_a_smooth_distribution_has_no_spike(n):
    worst = [find_spikes(smooth_sample(n, seed), SCATTER).worst[2] for seed in range(20)]
    assert max(worst) < 5


def test_a_galaxy_cluster_seen_through_the_scatter_is_no_spike():
    """A fifth of all galaxies at exactly one redshift, which the photo-z smear by their scatter."""
    rng = np.random.default_rng(2)
    z = smooth_sample(100_000, 3)
    z[:20_000] = 0.2
    blurred = z + SCATTER * (1 + z) * rng.standard_normal(len(z))
    assert find_spikes(blurred, SCATTER).worst[2] < 5


def test_a_spike_is_found_where_it_is():
    z = smooth_sample(50_000, 4)
    z[:1_000] = 0.25
    at, excess, significance = find_spikes(z, SCATTER).worst
    assert at == pytest.approx(0.25, abs=0.01)
    assert 0.2 < excess < 1.0
    assert significance > 5


def test_small_excesses_are_of_no_interest_however_many_galaxies():
    z = smooth_sample(2_000_000, 5)
    z[:2_000] = 0.25
    assert find_spikes(z, SCATTER).worst[2] < 3


def test_a_parabola_is_predicted_exactly():
    x = np.arange(30.0)
    parabola = 5 + 2 * x - 0.3 * x**2
    smooth = smooth_without_centre(parabola)
    np.testing.assert_allclose(smooth[5:-5], parabola[5:-5], atol=1e-9)
    assert np.all(np.isnan(smooth[:5]))
    one = np.zeros(30)
    one[15] = 1.0
    assert smooth_without_centre(one)[15] == pytest.approx(0, abs=1e-12)


def test_the_chance_of_a_count_is_that_of_a_poisson_number_with_an_uncertain_mean():
    """Counts around 20 with a mean that scatters as five neighbours on either side tell it."""
    dice = np.random.default_rng(9)
    neighbours = dice.poisson(20, (400_000, 11)).astype(float)
    smooth = np.array([smooth_without_centre(row)[5] for row in neighbours[:2000]])
    variance = np.var(smooth) + (0.05 * 20) ** 2
    means = dice.gamma(20**2 / variance, variance / 20, 400_000)
    counts = dice.poisson(means)
    for count in (25, 30, 40):
        expected = np.mean(counts >= count)
        assert spike_chance([count], np.array([20.0]))[0] == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize("z", [[], [np.nan], [0.2], [0.2] * 50])
def test_too_little_to_judge(z):
    assert np.isnan(find_spikes(z, SCATTER).worst[2])


def test_imprint_of_the_training_set():
    """Photo-z drawn to the training redshifts share their fine structure; others do not."""
    rng = np.random.default_rng(6)
    z = smooth_sample(60_000, 7)
    training = smooth_sample(60_000, 8)
    ripple = 0.25 * np.sin(2 * np.pi * np.log1p(training) / (1.5 * SCATTER))
    training = training[rng.random(len(training)) < (1 + ripple) / 1.3]
    drawn = np.where(rng.random(len(z)) < 0.5, rng.choice(training, len(z)), z)
    spikes = find_spikes(drawn, SCATTER)
    correlation, error = imprint(spikes, training)
    assert correlation > 4 * error
    correlation, error = imprint(find_spikes(z, SCATTER), training)
    assert abs(correlation) < 4 * error
    assert np.isnan(imprint(find_spikes([0.2], SCATTER), training)[0])
