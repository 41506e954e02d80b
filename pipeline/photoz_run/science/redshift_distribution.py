"""Redshift distributions: comparing n(z), and spikes narrower than the photo-z can resolve."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal, stats

from photoz_run.science.statistics import Floats

SPIKE_WINDOW = 11
SPIKE_ORDER = 2
SPIKE_FLOOR = 0.05
"""A local excess below this fraction is of no interest, however significant."""


@dataclass(frozen=True)
class Spikes:
    """Excess of each bin over its smooth neighbourhood.

    Bins are equal in ln(1 + z), half a resolution element wide. ``excess_K`` is relative to the
    neighbourhood, ``noise_K`` its standard deviation, of counting noise and a floor of 5%.
    ``chance_K`` is that of so many galaxies or more, see `spike_chance`. All three are NaN where
    the neighbourhood is incomplete or nearly empty.
    """

    centre_K: Floats
    count_K: NDArray[np.int64]
    excess_K: Floats
    noise_K: Floats
    chance_K: Floats

    @property
    def significance_K(self) -> Floats:
        """The chance as standard deviations of a Gaussian, negative for a deficit."""
        return np.asarray(stats.norm.isf(np.clip(self.chance_K, 1e-300, 1 - 1e-16)))

    @property
    def worst(self) -> tuple[float, float, float]:
        """Redshift, relative excess and significance of the most significant excess.

        NaN where there is none.
        """
        significance_K = self.significance_K
        if not np.isfinite(significance_K).any():
            return np.nan, np.nan, np.nan
        k = int(np.nanargmax(significance_K))
        return float(self.centre_K[k]), float(self.excess_K[k]), float(significance_K[k])


def find_spikes(z_N: ArrayLike, resolution: float) -> Spikes:
    """Look for structure in n(z) that is narrower than the scatter of the redshifts.

    Each bin is compared with a parabola through its five neighbours on either side (Savitzky &
    Golay 1964), itself left out. Galaxies cluster, but scatter washes every true structure out to
    five bins or more; a sharper one was made by the method.

    Parameters
    ----------
    resolution
        Scatter of the redshifts, in dz / (1 + z).
    """
    x = np.log1p(np.asarray(z_N, np.float64))
    x = x[np.isfinite(x)]
    width = max(resolution / 2, 1e-4)
    first, last = 0, 0
    if len(x):
        first = int(np.floor(np.min(x) / width))
        last = int(np.floor(np.max(x) / width))
    bins = min(last - first + 1, 5000)
    edges = (first + np.arange(bins + 1)) * width
    count = np.histogram(x, edges)[0]
    smooth = smooth_without_centre(count.astype(np.float64))
    # Below ten expected objects the parabola does not describe the counts.
    smooth = np.where(smooth >= 10, smooth, np.nan)
    centre = np.expm1((edges[:-1] + edges[1:]) / 2)
    noise = np.sqrt(1 / smooth + _prediction_variance(smooth))
    return Spikes(centre, count, count / smooth - 1, noise, spike_chance(count, smooth))


def spike_chance(count_K: ArrayLike, smooth_K: Floats) -> Floats:
    """The chance of so many galaxies or more where the neighbours predict ``smooth_K``.

    The prediction has the counting noise of the neighbours and a floor of `SPIKE_FLOOR`. A Poisson
    number with such an uncertain mean is a negative binomial one.
    """
    shape_K = 1 / _prediction_variance(smooth_K)
    counts_K = np.asarray(count_K)
    return np.asarray(stats.nbinom.sf(counts_K - 1, shape_K, shape_K / (shape_K + smooth_K)))


def smooth_without_centre(count_K: Floats) -> Floats:
    """Predict each bin from a parabola through the others of its window; NaN at the ends."""
    smooth = np.full(len(count_K), np.nan)
    if len(count_K) < SPIKE_WINDOW:
        return smooth
    half = SPIKE_WINDOW // 2
    smooth[half:-half] = np.convolve(count_K, _weights_without_centre(), mode="valid")
    return smooth


def _weights_without_centre() -> Floats:
    weights = signal.savgol_coeffs(SPIKE_WINDOW, SPIKE_ORDER)
    centre = weights[SPIKE_WINDOW // 2]
    weights[SPIKE_WINDOW // 2] = 0
    return np.asarray(weights / (1 - centre))


def _prediction_variance(smooth_K: Floats) -> Floats:
    """Variance of the prediction relative to its square."""
    return np.asarray(np.sum(_weights_without_centre() ** 2) / smooth_K + SPIKE_FLOOR**2)


def imprint(spikes: Spikes, z_training_N: ArrayLike) -> tuple[float, float]:
    """Correlate the fine structure of n(z_phot) with that of the training redshifts.

    Returns
    -------
    Pearson's correlation of the two excesses, and its standard error without correlation,
    1 / sqrt(bins - 1). NaN with fewer than five bins in common.
    """
    centre_K = np.log1p(spikes.centre_K)
    width = np.diff(centre_K[:2])[0] if len(centre_K) > 1 else 1.0
    edges = np.append(centre_K - width / 2, centre_K[-1] + width / 2)
    z = np.asarray(z_training_N, np.float64)
    count = np.histogram(np.log1p(z[np.isfinite(z)]), edges)[0].astype(np.float64)
    smooth = smooth_without_centre(count)
    with np.errstate(invalid="ignore", divide="ignore"):
        training = np.where(smooth >= 10, count / smooth - 1, np.nan)
    both = np.isfinite(training) & np.isfinite(spikes.excess_K)
    if both.sum() < 5:
        return np.nan, np.nan
    correlation = np.corrcoef(training[both], spikes.excess_K[both])[0, 1]
    return float(correlation), float(1 / np.sqrt(both.sum() - 1))
