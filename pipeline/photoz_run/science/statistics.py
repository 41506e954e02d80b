"""Statistics of photometric redshifts: functions of arrays.

All point statistics work along the last axis. NaN means missing, a weight of 0 takes a row out, and
weights need no normalisation. Nothing left gives NaN, and one object has scatter 0. Equal weights
give the unweighted value. The formulas and their sources stand in docs/validation.md.

Each statistic is a function for users. The report takes all of them from `point_statistics`, which
sorts once for all quantiles.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photoz_models.robust import SMAD_FACTOR

Floats = NDArray[np.float64]
Statistics = Callable[..., Mapping[str, Floats]]

IQR_FACTOR = 1.349
"""Interquartile range of a Gaussian in standard deviations, rounded as RAIL rounds it."""

CENTRAL_LEVELS = (0.16, 0.25, 0.5, 0.75, 0.84)


def residual(z_phot_N: ArrayLike, z_spec_N: ArrayLike) -> Floats:
    """``dz = z_phot - z_spec``."""
    return np.asarray(z_phot_N, np.float64) - np.asarray(z_spec_N, np.float64)


def normalised_residual(z_phot_N: ArrayLike, z_spec_N: ArrayLike) -> Floats:
    """``normdz = (z_phot - z_spec) / (1 + z_spec)``."""
    dz_N = np.asarray(residual(z_phot_N, z_spec_N))
    # In place: of twenty million galaxies each array is 160 MB.
    dz_N /= 1 + np.asarray(z_spec_N, np.float64)
    return dz_N


def mean(x_N: ArrayLike, weight_N: ArrayLike | None = None) -> Floats:
    """Weighted mean."""
    if weight_N is None:
        x = np.asarray(x_N, np.float64)
        missing = np.isnan(x)
        # A copy of twenty million numbers is made only where some are missing.
        total = np.sum(np.where(missing, 0, x) if missing.any() else x, axis=-1)
        return ratio(total, np.sum(~missing, axis=-1, dtype=np.float64))
    x, weight = _usable(x_N, weight_N)
    total = np.sum(weight * np.where(weight > 0, x, 0), axis=-1)
    return ratio(total, weight.sum(axis=-1))


def sd(x_N: ArrayLike, weight_N: ArrayLike | None = None) -> Floats:
    """Weighted standard deviation about the mean, with divisor n (not n - 1)."""
    deviation = np.asarray(x_N, np.float64) - mean(x_N, weight_N)[..., None]
    return np.sqrt(mean(np.square(deviation, out=deviation), weight_N))


def quantile(x_N: ArrayLike, levels_Q: ArrayLike, weight_N: ArrayLike | None = None) -> Floats:
    """Quantiles, linear between order statistics (numpy's default); shape (..., Q).

    Weighted ones are Akinshin's (2023, arXiv:2304.07265) generalisation of that rule: the weighted
    inverse distribution function, averaged over a window of width 1/n* at level (n* - 1) q / n*.
    Here n* is the effective number of objects, (sum w)^2 / sum w^2.
    """
    levels = np.atleast_1d(np.asarray(levels_Q, np.float64))
    x = np.asarray(x_N, np.float64)
    if x.shape[-1] == 0:
        return np.full((*x.shape[:-1], len(levels)), np.nan)
    if weight_N is None:
        return _quantile_of_sorted(np.sort(x, axis=-1), levels)
    x, weight = _usable(x, weight_N)
    order = np.argsort(x, axis=-1)
    x = np.take_along_axis(x, order, -1)
    weight = np.take_along_axis(weight, order, -1)
    return _weighted_quantile(np.where(weight > 0, x, 0), weight, levels)


def _quantile_of_sorted(x_N: Floats, levels_Q: Floats) -> Floats:
    """Quantiles of sorted values; NaN are the last of them."""
    last_rank = np.maximum(np.sum(~np.isnan(x_N), axis=-1) - 1, 0)
    return _take(x_N, levels_Q * last_rank[..., None])


def _weighted_quantile(x_N: Floats, weight_N: Floats, levels_Q: Floats) -> Floats:
    """Quantiles of sorted values, those that do not count last and with weight 0."""
    total = weight_N.sum(axis=-1, keepdims=True)
    share = ratio(weight_N, total)
    effective = ratio(np.ones_like(total), np.sum(share**2, axis=-1, keepdims=True))
    probability = np.cumsum(share, axis=-1)
    integral = np.cumsum(share * x_N, axis=-1)
    start = (effective - 1) * levels_Q / effective

    def integrated(p_Q: Floats) -> Floats:
        """The integral of the inverse distribution function up to each probability."""
        below = [np.sum(probability < p[..., None], axis=-1) for p in np.moveaxis(p_Q, -1, 0)]
        k = np.minimum(np.stack(below, axis=-1), x_N.shape[-1] - 1)
        excess_Q = np.take_along_axis(probability, k, -1) - p_Q
        return np.take_along_axis(integral, k, -1) - np.take_along_axis(x_N, k, -1) * excess_Q

    return (integrated(start + 1 / effective) - integrated(start)) * effective


def _take(x_N: Floats, rank_Q: Floats) -> Floats:
    """Values at fractional ranks of sorted rows."""
    low = np.floor(rank_Q).astype(np.intp)
    high = np.ceil(rank_Q).astype(np.intp)
    at_low = np.take_along_axis(x_N, low, -1)
    at_high = np.take_along_axis(x_N, high, -1)
    return np.asarray(at_low + (rank_Q - low) * (at_high - at_low))


def median(x_N: ArrayLike, weight_N: ArrayLike | None = None) -> Floats:
    """Weighted median."""
    return quantile(x_N, 0.5, weight_N)[..., 0]


def smad(x_N: ArrayLike, weight_N: ArrayLike | None = None) -> Floats:
    """Scaled median absolute deviation, ``1.4826 median(|x - median(x)|)``."""
    deviation = np.abs(np.asarray(x_N, np.float64) - median(x_N, weight_N)[..., None])
    return SMAD_FACTOR * median(deviation, weight_N)


def sigma_68(x_N: ArrayLike, weight_N: ArrayLike | None = None) -> Floats:
    """Half the distance between the 16th and the 84th percentile."""
    low_high = quantile(x_N, [0.16, 0.84], weight_N)
    return (low_high[..., 1] - low_high[..., 0]) / 2


def sigma_iqr(x_N: ArrayLike, weight_N: ArrayLike | None = None) -> Floats:
    """Interquartile range divided by 1.349."""
    low_high = quantile(x_N, [0.25, 0.75], weight_N)
    return (low_high[..., 1] - low_high[..., 0]) / IQR_FACTOR


def fraction_beyond(x_N: ArrayLike, limit: ArrayLike, weight_N: ArrayLike | None = None) -> Floats:
    """Fraction of objects with ``|x| > limit``."""
    x = np.asarray(x_N, np.float64)
    limit = np.asarray(limit, np.float64)[..., None]
    with np.errstate(invalid="ignore"):
        # No array of absolute values: of twenty million galaxies it is 160 MB.
        beyond = (x > limit) | (x < -limit)
    if weight_N is None:
        # Truth values are counted: of twenty million galaxies, numbers would be 160 MB.
        known = np.asarray(np.sum(~np.isnan(x), axis=-1, dtype=np.float64))
        return ratio(np.asarray(np.sum(beyond, axis=-1, dtype=np.float64)), known)
    return mean(np.where(np.isnan(x), np.nan, beyond), weight_N)


def outliers_3smad(x_N: ArrayLike, weight_N: ArrayLike | None = None) -> Floats:
    """Fraction of objects further than 3 SMAD from the median."""
    deviation = np.asarray(x_N, np.float64) - median(x_N, weight_N)[..., None]
    return fraction_beyond(deviation, 3 * smad(x_N, weight_N), weight_N)


def outliers_rail(x_N: ArrayLike, weight_N: ArrayLike | None = None) -> Floats:
    """Fraction of objects with ``|x| > max(0.06, 3 sigma_IQR)``: the outlier rate of RAIL."""
    limit = np.maximum(0.06, 3 * sigma_iqr(x_N, weight_N))
    return fraction_beyond(x_N, limit, weight_N)


def point_statistics(
    z_phot_N: ArrayLike, z_spec_N: ArrayLike, weight_N: ArrayLike | None = None
) -> dict[str, Floats]:
    """Every point statistic of dz and normdz, by its name in the report."""
    bias = mean(residual(z_phot_N, z_spec_N), weight_N)
    x = normalised_residual(z_phot_N, z_spec_N)
    average, width = mean(x, weight_N), sd(x, weight_N)
    # The same numbers as the functions above, with two sorts instead of eight.
    low, quarter, centre, three_quarters, high = np.moveaxis(
        _quantiles_in_place(x, CENTRAL_LEVELS, weight_N), -1, 0
    )
    rail_limit = np.maximum(0.06, 3 * (three_quarters - quarter) / IQR_FACTOR)
    beyond = [fraction_beyond(x, limit, weight_N) for limit in (0.05, 0.15, rail_limit)]
    x -= centre[..., None]
    deviation = np.abs(x, out=x)
    scatter = SMAD_FACTOR * _quantiles_in_place(deviation, (0.5,), weight_N)[..., 0]
    return {
        "bias": bias,
        "mean_normdz": average,
        "median_normdz": centre,
        "sd_normdz": width,
        "smad": scatter,
        "sigma_68": (high - low) / 2,
        "outliers_005": beyond[0],
        "outliers_015": beyond[1],
        "outliers_3smad": fraction_beyond(deviation, 3 * scatter, weight_N),
        "outliers_rail": beyond[2],
    }


def _quantiles_in_place(x_N: Floats, levels: Sequence[float], weight_N: ArrayLike | None) -> Floats:
    """`quantile` of values that may be put in order: of many a copy costs much memory.

    Weighted ones stay in theirs, that of the weights.
    """
    if weight_N is not None or not x_N.shape[-1]:
        return quantile(x_N, levels, weight_N)
    x_N.sort(axis=-1)
    return _quantile_of_sorted(x_N, np.array(levels))


def coverage(
    z_spec_N: ArrayLike, low_N: ArrayLike, high_N: ArrayLike, weight_N: ArrayLike | None = None
) -> Floats:
    """Fraction of objects with ``low <= z_spec <= high``; a missing value takes the object out."""
    z = np.asarray(z_spec_N, np.float64)
    low = np.asarray(low_N, np.float64)
    high = np.asarray(high_N, np.float64)
    with np.errstate(invalid="ignore"):
        inside = (low <= z) & (z <= high)
        missing = np.isnan(z + low + high)
    return mean(np.where(missing, np.nan, inside), weight_N)


def group_bootstrap_intervals(
    statistics: Statistics,
    columns: Sequence[ArrayLike],
    group_N: ArrayLike,
    *,
    replicates: int = 200,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """68% percentile bootstrap intervals when objects of one group share errors.

    Whole groups are drawn: the cluster bootstrap (Davison & Hinkley 1997, section 3.8). With a
    single group every object counts as its own.

    Parameters
    ----------
    statistics
        Called with ``columns`` of shape (N,), then with resampled ones of other lengths; gives
        numbers by name.
    columns, group_N
        Arrays of length N, all resampled together; the tile of each galaxy, for instance.

    Returns
    -------
    (low, high) by name.
    """
    arrays = [np.asarray(column) for column in columns]
    names, unit_N = np.unique(np.asarray(group_N), return_inverse=True)
    if len(names) < 2:
        unit_N = np.arange(len(unit_N))
    n_units = int(unit_N.max()) + 1
    dice = np.random.default_rng(seed)
    rows = np.arange(len(unit_N))
    replicas = []
    for _ in range(replicates):
        times_U = np.bincount(dice.integers(0, n_units, n_units), minlength=n_units)
        drawn = np.repeat(rows, times_U[unit_N])
        replicas.append(statistics(*(array[drawn] for array in arrays)))
    intervals = {}
    for name in replicas[0]:
        low, high = np.quantile([float(replica[name]) for replica in replicas], [0.16, 0.84])
        intervals[name] = float(low), float(high)
    return intervals


def _usable(x_N: ArrayLike, weight_N: ArrayLike | None) -> tuple[Floats, Floats]:
    """Values with NaN for every row that does not count, and weights with 0 there."""
    x = np.asarray(x_N, np.float64)
    missing = np.isnan(x)
    if weight_N is None:
        return x, (~missing).astype(np.float64)
    weight = np.broadcast_to(np.asarray(weight_N, np.float64), x.shape)
    missing = missing | ~(weight > 0)
    return np.where(missing, np.nan, x), np.where(missing, 0.0, weight)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Division that gives NaN, without a warning, where the denominator is 0."""
    ok = denominator > 0
    return np.asarray(np.where(ok, numerator, np.nan) / np.where(ok, denominator, 1))
