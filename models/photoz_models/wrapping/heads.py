"""Nodes after the foreign graph: what it says becomes a redshift, quantiles and a distance.

Axes: N rows, Q levels, K Gaussians or bins.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from photoz_models.contract import OUTPUTS, QUANTILE_LEVELS
from photoz_models.wrapping.foreign import PREFIX, column_range
from photoz_models.wrapping.nodes import Nodes
from photoz_models.wrapping.spec import WrapSpec

FAR_SIGMAS = 3.0
"""Magnitudes this many standard deviations from the training set's mean have the distance 1."""

HALVINGS = 24
"""Of the interval in which a mixture's quantile lies; it starts a few redshifts wide."""

WIDEST = 6.0
"""Standard deviations from the outermost means within which all quantiles lie."""

LEAST = 1e-30
"""Keeps shares of bins that nothing falls into from dividing by zero."""


@dataclass(frozen=True)
class HeadOutput:
    """Names of a point redshift [N, 1] and quantiles [N, Q] in the graph."""

    point: str
    quantiles: str


def levels_of(spec: WrapSpec) -> tuple[float, ...]:
    """Levels of the bundle's quantiles: those of a network that gives quantiles, else ours."""
    return spec.levels if spec.head == "quantiles" else QUANTILE_LEVELS


def finish(
    g: Nodes,
    spec: WrapSpec,
    outputs: dict[str, int],
    known: str | None,
    matrix_QQ: NDArray[np.float64] | None = None,
) -> None:
    """Add the outputs of a bundle.

    Parameters
    ----------
    outputs
        The outputs of the foreign graph with their number of axes.
    known
        Name of the standardised magnitudes, 0 where missing, for the domain distance.
    matrix_QQ
        Calibrates the quantiles (`photoz_models.calibration.level_matrix`).
    """
    estimate = _estimate(g, spec, outputs)
    limits = g.constant(spec.z_min), g.constant(spec.z_max)
    quantiles = estimate.quantiles
    if matrix_QQ is not None:
        quantiles = g.add("MatMul", quantiles, g.constant(matrix_QQ.T))
    point = g.add("Clip", g.add("Reshape", estimate.point, g.integers(-1)), *limits)
    # Clipping may make a number of NaN; a missing redshift has to stay missing.
    nan = g.add("IsNaN", estimate.point)
    g.add("Where", g.add("Reshape", nan, g.integers(-1)), g.constant(np.nan), point, out=OUTPUTS[0])
    clipped = g.add("Clip", quantiles, *limits)
    lost = g.add("Or", nan, g.add("IsNaN", quantiles))
    g.add("Where", lost, g.constant(np.nan), clipped, out=OUTPUTS[1])
    _add_distance(g, known)


def _add_distance(g: Nodes, known: str | None) -> None:
    if known is None:
        # Without magnitudes nothing is known of the domain.
        g.add("ConstantOfShape", g.add("Shape", OUTPUTS[0]), out=OUTPUTS[2])
        return
    largest = g.extreme(g.add("Abs", known), largest=True)
    distance = g.add("Div", largest, g.constant(FAR_SIGMAS))
    g.add("Reshape", distance, g.integers(-1), out=OUTPUTS[2])


def _estimate(g: Nodes, spec: WrapSpec, outputs: dict[str, int]) -> HeadOutput:
    value = _columns(g, spec.output, outputs)
    if spec.head == "z":
        return _constant_scatter(g, _redshift(g, value, spec), spec)
    make = {
        "gaussian": _gaussian,
        "mixture": _mixture,
        "quantiles": _quantiles,
        "histogram": _histogram,
    }[spec.head]
    found = make(g, value, spec, outputs)
    return HeadOutput(_redshift(g, found.point, spec), _redshift(g, found.quantiles, spec))


def _redshift(g: Nodes, value: str, spec: WrapSpec) -> str:
    if spec.target == "z":
        return value
    return g.add("Sub", g.add("Exp", value), g.constant(1))


def _columns(g: Nodes, reference: str, outputs: dict[str, int]) -> str:
    """An output, or columns of it, as float32 [N, columns]."""
    name, columns = column_range(reference, list(outputs))
    value = g.add("Cast", PREFIX + name, to=TensorProto.FLOAT)
    if outputs[name] == 1:
        value = g.add("Reshape", value, g.integers(-1, 1))
    elif outputs[name] > 2:
        value = g.add("Flatten", value, axis=1)
    if columns is None:
        return value
    wanted = g.integers(*range(columns.start, columns.stop))
    return g.add("Gather", value, wanted, axis=1)


def _constant_scatter(g: Nodes, z: str, spec: WrapSpec) -> HeadOutput:
    point = g.add("Clip", z, g.constant(spec.z_min), g.constant(spec.z_max))
    steps_Q = [(spec.scatter or 0.0) * NormalDist().inv_cdf(p) for p in QUANTILE_LEVELS]
    widths = g.add("Mul", g.add("Add", point, g.constant(1)), g.constant([steps_Q]))
    return HeadOutput(z, g.add("Add", point, widths))


def _widths(g: Nodes, spec: WrapSpec, outputs: dict[str, int]) -> str:
    widths = _columns(g, spec.sigma or "", outputs)
    if spec.sigma_is.startswith("log_"):
        widths = g.add("Exp", widths)
    if spec.sigma_is.endswith("variance"):
        widths = g.add("Sqrt", widths)
    return widths


def _gaussian(g: Nodes, mean: str, spec: WrapSpec, outputs: dict[str, int]) -> HeadOutput:
    steps_Q = [NormalDist().inv_cdf(level) for level in QUANTILE_LEVELS]
    offsets = g.add("Mul", _widths(g, spec, outputs), g.constant([steps_Q]))
    return HeadOutput(mean, g.add("Add", mean, offsets))


def _mixture(g: Nodes, means: str, spec: WrapSpec, outputs: dict[str, int]) -> HeadOutput:
    """Quantiles of a sum of Gaussians: its distribution function, inverted by halving."""
    widths = _widths(g, spec, outputs)
    weights = _shares(g, _columns(g, spec.weights or "", outputs), spec)
    reach = g.add("Mul", widths, g.constant(WIDEST))
    low = g.extreme(g.add("Sub", means, reach), largest=False)
    high = g.extreme(g.add("Add", means, reach), largest=True)
    levels = g.constant([QUANTILE_LEVELS])
    low, high = (g.add("Expand", end, g.integers(1, len(QUANTILE_LEVELS))) for end in (low, high))
    between = g.integers(1)
    means_N1K, widths_N1K, weights_N1K = (
        g.add("Unsqueeze", values, between) for values in (means, widths, weights)
    )
    slope_N1K = g.add("Div", g.constant(np.sqrt(0.5)), widths_N1K)
    halves_N1K = g.add("Mul", weights_N1K, g.constant(0.5))
    last, half, one = g.integers(2), g.constant(0.5), g.constant(1)
    for _ in range(HALVINGS):
        middle = g.add("Mul", g.add("Add", low, high), half)
        distance = g.add("Sub", g.add("Unsqueeze", middle, last), means_N1K)
        error = g.add("Erf", g.add("Mul", distance, slope_N1K))
        parts = g.add("Mul", g.add("Add", error, one), halves_N1K)
        below = g.add("Less", g.add("ReduceSum", parts, last, keepdims=0), levels)
        low, high = g.add("Where", below, middle, low), g.add("Where", below, high, middle)
    quantiles = g.add("Mul", g.add("Add", low, high), half)
    # NaN compares false and would get lost on the way.
    products = g.add("Mul", g.add("Mul", weights, means), widths)
    nothing = g.add("Mul", g.sum(products, 1), g.constant(0))
    quantiles = g.add("Add", quantiles, nothing)
    if spec.point == "median":
        return HeadOutput(_median(g, quantiles, QUANTILE_LEVELS), quantiles)
    return HeadOutput(g.sum(g.add("Mul", weights, means), 1), quantiles)


def _quantiles(g: Nodes, values: str, spec: WrapSpec, outputs: dict[str, int]) -> HeadOutput:
    """Quantiles that cross are sorted (Chernozhukov et al. 2010)."""
    number = g.integers(len(spec.levels))
    ordered = g.add("TopK", values, number, outputs=2, axis=1, largest=0)
    nothing = g.add("Mul", g.sum(values, 1), g.constant(0))
    ordered = g.add("Add", ordered, nothing)
    return HeadOutput(_median(g, ordered, spec.levels), ordered)


def _histogram(g: Nodes, values: str, spec: WrapSpec, outputs: dict[str, int]) -> HeadOutput:
    """Quantiles of a distribution that is constant within each bin."""
    shares = _shares(g, values, spec)
    edges_E = np.array(spec.edges)
    above = g.add("CumSum", shares, g.constant(1, np.int64))
    left = g.add("Sub", above, shares)
    last = g.integers(2)
    levels = g.constant(np.array(QUANTILE_LEVELS)[None, :, None])
    passed = g.add("Less", g.add("Unsqueeze", above, g.integers(1)), levels)
    count = g.add("ReduceSum", g.add("Cast", passed, to=TensorProto.FLOAT), last, keepdims=0)
    count = g.add("Clip", count, g.constant(0), g.constant(len(edges_E) - 2))
    place = g.add("Cast", count, to=TensorProto.INT64)
    start, share = (g.add("GatherElements", v, place, axis=1) for v in (left, shares))
    wanted = g.add("Sub", g.constant([QUANTILE_LEVELS]), start)
    inside = g.add("Div", wanted, g.add("Max", share, g.constant(LEAST)))
    inside = g.add("Clip", inside, g.constant(0), g.constant(1))
    edge = g.add("Gather", g.constant(edges_E[:-1]), place, axis=0)
    width = g.add("Gather", g.constant(np.diff(edges_E)), place, axis=0)
    quantiles = g.add("Add", edge, g.add("Mul", inside, width))
    nothing = g.add("Mul", g.sum(shares, 1), g.constant(0))
    quantiles = g.add("Add", quantiles, nothing)
    if spec.point == "median":
        return HeadOutput(_median(g, quantiles, QUANTILE_LEVELS), quantiles)
    centres = g.constant([0.5 * (edges_E[1:] + edges_E[:-1])])
    return HeadOutput(g.sum(g.add("Mul", shares, centres), 1), quantiles)


def _shares(g: Nodes, values: str, spec: WrapSpec) -> str:
    if spec.shares_are == "logits":
        return g.add("Softmax", values, axis=1)
    return g.add("Div", values, g.sum(values, 1))


def _median(g: Nodes, quantiles: str, levels: tuple[float, ...]) -> str:
    """The quantile at level 0.5, linear between its neighbours."""
    weights_Q = [float(np.interp(0.5, levels, row)) for row in np.eye(len(levels))]
    return g.add("MatMul", quantiles, g.constant(np.array(weights_Q)[:, None]))
