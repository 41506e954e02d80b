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
    low, high = (_percentile(g, flat, percentile, spec) for percentile in spec.percentiles)
    width = g.add("Add", g.add("Sub", high, low), g.constant(spec.epsilon))
    stretched = g.add("Div", g.add("Sub", pixels, low), width)
    if spec.epsilon == 0:
        # A stamp of one value, as that of a missing band is, would be 0 / 0.
        flat_band = g.add("Equal", width, g.constant(0))
        stretched = g.add("Where", flat_band, g.constant(0), stretched)
    return g.add("Clip", stretched, g.constant(0), g.constant(1))


def _percentile(g: Nodes, flat: str, percentile: float, spec: WrapSpec) -> str:
    """Linear between the two order statistics around it, as numpy does.

    Only as many pixels are put in order as lie beyond it, at its nearer end.
    """
    n_pixels = spec.stamp_size**2
    rank = (n_pixels - 1) * percentile / 100
    below, above = int(np.floor(rank)), int(np.ceil(rank))
    largest = rank > n_pixels / 2
    number = n_pixels - below if largest else above + 1
    ordered = g.add("TopK", flat, g.integers(number), outputs=2, axis=2, largest=int(largest))
    if largest:
        below, above = n_pixels - 1 - below, n_pixels - 1 - above
    low, high = (
        g.add("Gather", ordered, g.constant(place, np.int64), axis=2) for place in (below, above)
    )
    step = g.add("Mul", g.add("Sub", high, low), g.constant(rank - np.floor(rank)))
    shape = g.integers(-1, len(spec.image_bands), 1, 1)
    return g.add("Reshape", g.add("Add", low, step), shape)
