"""What stands out among many looks: populations of tiles, and Holm's correction."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

FEWEST_GROUPS = 8
"""The scatter of fewer groups is not known."""

MEDIAN_OF_CHI_SQUARED = float(stats.chi2.median(1))


def excess_scatter(value_T: ArrayLike, error_T: ArrayLike) -> float:
    """How far groups differ beyond the errors of their values, as a standard deviation.

    The scatter tau for which the median of ``(value - centre)^2 / (error^2 + tau^2)`` is that of
    chi squared with one degree of freedom. It is the estimate of Paule & Mandel (1982) with a
    median in place of the mean, so that a few deviant groups do not count. 0 where errors suffice,
    and for fewer than `FEWEST_GROUPS` groups.
    """
    value, error = np.asarray(value_T, np.float64), np.asarray(error_T, np.float64)
    known = np.isfinite(value) & np.isfinite(error) & (error > 0)
    value, error = value[known], error[known]
    if len(value) < FEWEST_GROUPS:
        return 0.0
    square = (value - np.median(value)) ** 2

    def surplus(variance: float) -> float:
        return float(np.median(square / (error**2 + variance))) - MEDIAN_OF_CHI_SQUARED

    if surplus(0.0) <= 0:
        return 0.0
    most = float(square.max()) / MEDIAN_OF_CHI_SQUARED
    return float(np.sqrt(optimize.brentq(surplus, 0.0, most * (1 + 1e-9))))


def deviant_p(value_T: ArrayLike, error_T: ArrayLike, tails: int) -> NDArray[np.float64]:
    """The chance of each group's value, beside the scatter of the other groups.

    Values are weighed by their errors and `excess_scatter`; what is left as scale is measured on
    the other groups. So a value has Student's distribution (the deleted residual of Cook & Weisberg
    1982, section 2.2). Deviant groups must not hide each other: one in ten of the groups, the
    most deviant, are left out one after the other (Rosner 1983, Technometrics 25, 165). A group is
    at least as deviant as those that come after it.

    The scatter of fewer than `FEWEST_GROUPS` groups is not known: the errors alone count then.

    Parameters
    ----------
    tails
        1 if only large values deviate, 2 if small ones do, too.

    Returns
    -------
    Shape (T,); NaN without a value or an error, and for a single group.
    """
    value, error = np.asarray(value_T, np.float64), np.asarray(error_T, np.float64)
    chance_T = np.full(len(value), np.nan)
    known = np.flatnonzero(np.isfinite(value) & np.isfinite(error) & (error > 0))
    if len(known) < 2:
        return chance_T
    variance = error[known] ** 2 + excess_scatter(value[known], error[known]) ** 2
    off = (value[known] - np.median(value[known])) / np.sqrt(variance)
    order = np.argsort(-(np.abs(off) if tails == 2 else off), kind="stable")
    value, variance = value[known][order], variance[order]
    few = len(known) < FEWEST_GROUPS
    left_out = 0 if few else len(known) // 10
    p = np.empty(len(known))
    for first in range(left_out + 1):
        here = slice(first, first + 1 if first < left_out else None)
        t = _deleted_residuals(value[first:], variance[first:], scaled=not few)
        freedom = np.inf if few else len(t) - 2
        p[here] = (tails * stats.t.sf(np.abs(t) if tails == 2 else t, freedom))[: len(p[here])]
    first_ones = p[: left_out + 1]
    p[: left_out + 1] = np.minimum.accumulate(first_ones[::-1])[::-1]
    chance_T[known[order]] = p
    return chance_T


def _deleted_residuals(
    value: NDArray[np.float64], variance: NDArray[np.float64], scaled: bool
) -> NDArray[np.float64]:
    """Each value's distance from the mean of the others in standard deviations.

    With ``scaled``, the variances are known up to a factor, which the others tell.
    """
    weight = 1 / variance
    rest = weight.sum() - weight
    others = (np.sum(weight * value) - weight * value) / rest
    difference = value - others
    spread = variance + 1 / rest
    if not scaled:
        return np.asarray(difference / np.sqrt(spread))
    centre = np.average(value, weights=weight)
    # Leaving a value out takes its difference from the others off the sum of squares.
    squares = np.sum(weight * (value - centre) ** 2) - difference**2 / spread
    factor = np.maximum(squares, 0) / (len(value) - 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(difference / np.sqrt(spread * factor))


def beyond_chance(p_K: ArrayLike, level: float) -> NDArray[np.bool_]:
    """Which of many tests stand out, with at most ``level`` false alarms among all of them.

    Holm (1979); NaN is a test that was not made.
    """
    p = np.asarray(p_K, np.float64)
    made = np.flatnonzero(np.isfinite(p))
    order = made[np.argsort(p[made], kind="stable")]
    allowed = level / (len(order) - np.arange(len(order)))
    failing = np.flatnonzero(p[order] > allowed)
    significant = np.zeros(len(p), bool)
    significant[order[: failing[0] if len(failing) else len(order)]] = True
    return significant


def student_p(difference: float, error: float, groups: int, tails: int) -> float:
    """The chance of a difference, from the half-width of its 68% interval over ``groups``.

    NaN without an error.
    """
    if not error > 0:
        return float("nan")
    freedom = max(groups - 1, 1)
    # The interval was stretched for few groups: here the same quantile takes it back.
    t = difference / error * stats.t.ppf(0.84, freedom)
    return float(tails * stats.t.sf(abs(t) if tails == 2 else t, freedom))


def binomial_p(number: float, trials: int, share: float) -> float:
    """The chance of ``number`` or more among ``trials`` where ``share`` is usual."""
    return float(stats.binom.sf(round(number) - 1, trials, share))


def sigmas(p: float) -> float:
    """A two-sided chance as standard deviations of a Gaussian."""
    return float(-special.ndtri(max(p, 1e-300) / 2))
