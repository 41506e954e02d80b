"""Nodes before the foreign graph: raw stamps and magnitudes become what it was trained on."""

import numpy as np
from onnx import TensorProto

from photoz_models.contract import MAGNITUDES, STAMPS
from photoz_models.wrapping.foreign import PREFIX
from photoz_models.wrapping.nodes import Nodes
from photoz_models.wrapping.spec import WrapSpec


def prepare_images(g: Nodes, spec: WrapSpec, kind: int) -> None:
    """Stamps, stretched and with their axes in the foreign order, as numbers of ``kind``.

    Pixels that cannot be used are 0 before the stretch.
    """
    filled = g.add("Where", g.add("IsNaN", STAMPS), g.constant(0), STAMPS)
    pixels = g.add("Mul", filled, g.constant(spec.flux_scale))
    if spec.stretch == "percentile":
        pixels = _stretched(g, pixels, spec)
    if spec.layout == "NHWC":
        pixels = g.add("Transpose", pixels, perm=[0, 2, 3, 1])
    _feed(g, pixels, kind, f"{PREFIX}{spec.image_input}")


def prepare_magnitudes(g: Nodes, spec: WrapSpec, kind: int) -> str:
    """Magnitudes as numbers of ``kind``, with what stands for missing ones.

    Returns
    -------
    str
        Name of (m - mean) / scale [N, B], 0 where missing.
    """
    missing = g.add("IsNaN", MAGNITUDES)
    mean, scale = g.constant(spec.magnitude_mean), g.constant(spec.magnitude_scale)
    standard = g.add("Div", g.add("Sub", MAGNITUDES, mean), scale)
    known = g.add("Where", missing, g.constant(0), standard)
    if spec.missing == "mean":
        taken = known if spec.standardised else g.add("Where", missing, mean, MAGNITUDES)
    elif spec.missing == "nan":
        taken = standard if spec.standardised else MAGNITUDES
    else:
        taken = g.add("Where", missing, g.constant(spec.missing), MAGNITUDES)
        if spec.standardised:
            taken = g.add("Div", g.add("Sub", taken, mean), scale)
    _feed(g, taken, kind, f"{PREFIX}{spec.magnitude_input}")
    return known


def _feed(g: Nodes, values: str, kind: int, name: str) -> None:
    if kind == TensorProto.FLOAT:
        g.add("Identity", values, out=name)
    else:
        g.add("Cast", values, to=kind, out=name)


def _stretched(g: Nodes, pixels: str, spec: WrapSpec) -> str:
    n_pixels, n_bands = spec.stamp_size**2, len(spec.image_bands)
    flat = g.add("Reshape", pixels, g.integers(-1, n_bands, n_pixels))
    ordered = g.add("TopK", flat, g.integers(n_pixels), outputs=2, axis=2, largest=0)
    low, high = (_percentile(g, ordered, percentile, spec) for percentile in spec.percentiles)
    width = g.add("Add", g.add("Sub", high, low), g.constant(spec.epsilon))
    stretched = g.add("Div", g.add("Sub", pixels, low), width)
    if spec.epsilon == 0:
        # A stamp of one value, as that of a missing band is, would be 0 / 0.
        flat_band = g.add("Equal", width, g.constant(0))
        stretched = g.add("Where", flat_band, g.constant(0), stretched)
    return g.add("Clip", stretched, g.constant(0), g.constant(1))


def _percentile(g: Nodes, ordered: str, percentile: float, spec: WrapSpec) -> str:
    """Linear between the two order statistics around it, as numpy does."""
    rank = (spec.stamp_size**2 - 1) * percentile / 100
    below = g.add("Gather", ordered, g.constant(int(np.floor(rank)), np.int64), axis=2)
    above = g.add("Gather", ordered, g.constant(int(np.ceil(rank)), np.int64), axis=2)
    step = g.add("Mul", g.add("Sub", above, below), g.constant(rank - np.floor(rank)))
    shape = g.integers(-1, len(spec.image_bands), 1, 1)
    return g.add("Reshape", g.add("Add", below, step), shape)
