"""Put somebody else's ONNX graph into a bundle: its preprocessing becomes nodes of the graph.

Made for networks exported from Keras, such as the published Hybrid-z: images with channels last,
stretched by percentiles of each stamp and band, magnitudes standardised, and a target that may be
log(1+z).
"""

import tempfile
import tomllib
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Any, Literal

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper
from pydantic import Field, ValidationError

from photoz_models.contract import (
    MAGNITUDES,
    OUTPUTS,
    QUANTILE_LEVELS,
    STAMPS,
    Domain,
    ModelContract,
    Training,
    first_problem,
    write_contract,
)
from photoz_models.errors import BundleError
from photoz_models.golden import Golden, golden_inputs, record
from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS, StampRule

OLDEST_OPSET = 13
GOLDEN_SEED = 1609
GOLDEN_NUMBER = 12
FAR_SIGMAS = 3.0
"""Magnitudes this many standard deviations from the scaler's mean have the domain distance 1."""


class WrapSpec(StampRule):
    """How the foreign graph wants its inputs, and what its output means.

    The fields of `StampRule` say what it wants of stamps; such a graph knows no seeing.

    Attributes
    ----------
    image_input, magnitude_input, output
        Names in the foreign graph.
    layout
        Order of the image axes there.
    flux_scale
        Pixels in maggies times this are in the unit in which it was trained.
    stretch, percentiles, epsilon
        ``percentile``: (x - p_low) / (p_high - p_low + epsilon) of each stamp and band, clipped
        to 0..1.
    magnitude_mean, magnitude_scale
        Of the scaler: (m - mean) / scale; a missing magnitude becomes the mean.
    target
        Whether the output is z or log(1+z).
    scatter
        Standard deviation of dz/(1+z), for the quantiles that such a network lacks.
    """

    name: str
    version: str = "1"
    licence: str
    image_input: str
    magnitude_input: str
    output: str
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    flux_scale: Annotated[float, Field(gt=0)] = 1.0
    stretch: Literal["percentile", "none"] = "percentile"
    percentiles: tuple[float, float] = (2.0, 98.0)
    epsilon: float = 1e-8
    magnitude_mean: tuple[float, ...]
    magnitude_scale: tuple[float, ...]
    target: Literal["z", "log1pz"]
    scatter: Annotated[float, Field(gt=0)]
    z_min: float = 0.0
    z_max: float = 1.0
    image_bands: tuple[str, ...] = IMAGE_BANDS
    magnitude_bands: tuple[str, ...] = MAGNITUDE_BANDS
    seeing_bands: tuple[()] = ()
    stamp_size: int = 36
    pixel_scale: float = 0.2
    dmag_applied: bool = False
    extinction_corrected: bool = False
    training: Training


def read_spec(path: Path) -> WrapSpec:
    """Read the TOML file at ``path``.

    Raises
    ------
    BundleError
        If it cannot be read or does not fit, with the field that does not.
    """
    try:
        return WrapSpec.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise BundleError(f"{path}: {first_problem(error)}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BundleError(f"{path}: {error}") from error


def wrap(graph: Path, spec: WrapSpec, out: Path) -> ModelContract:
    """Write the bundle ``out`` from the ONNX file ``graph`` and return its contract.

    Raises
    ------
    BundleError
        If the graph cannot be read, lacks a named input or output, or does not run.
    """
    foreign = _read(graph, spec)
    model = _compose(foreign, spec)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        bare, sealed = Path(scratch) / "bare.onnx", Path(scratch) / "sealed.onnx"
        onnx.save(model, bare)
        contract = _contract(foreign, spec, _golden(bare, spec))
        write_contract(bare, contract, sealed)
        sealed.replace(out)
    return contract


def _read(graph: Path, spec: WrapSpec) -> Any:
    n_bands = len(spec.magnitude_bands)
    if len(spec.magnitude_mean) != n_bands or len(spec.magnitude_scale) != n_bands:
        raise BundleError(
            "magnitude_mean and magnitude_scale need one value for each of"
            f" {n_bands} magnitude bands"
        )
    try:
        foreign = onnx.load(graph)
        onnx.checker.check_model(foreign)
    except (OSError, onnx.checker.ValidationError, DecodeError) as error:
        raise BundleError(
            f"{graph}: cannot be read as ONNX: {str(error).splitlines()[0]}"
        ) from error
    inputs = [value.name for value in foreign.graph.input]
    outputs = [value.name for value in foreign.graph.output]
    named = (
        (spec.image_input, inputs),
        (spec.magnitude_input, inputs),
        (spec.output, outputs),
    )
    for wanted, present in named:
        if wanted not in present:
            raise BundleError(f"{graph}: no {wanted!r}; inputs are {inputs}, outputs {outputs}")
    return foreign


class _Nodes:
    """Nodes and constants in the making; each method returns the name of its result."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        name = f"{self.place}_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype=dtype), name))
        return name

    def add(
        self, kind: str, *inputs: str, out: str | None = None, outputs: int = 1, **attributes: Any
    ) -> str:
        name = out or f"{self.place}_{kind}_{len(self.nodes)}"
        names = [name, *(f"{name}_{k}" for k in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return name


def _compose(foreign: Any, spec: WrapSpec) -> Any:
    from onnx import compose

    foreign = compose.add_prefix(_modern(foreign), "foreign/")
    before, after = _Nodes("before"), _Nodes("after")
    _prepare_images(before, spec)
    standard = _prepare_magnitudes(before, spec)
    _finish(after, spec, standard)
    n_bands, size = len(spec.image_bands), spec.stamp_size
    inputs = [
        _value(STAMPS, "N", n_bands, size, size),
        _value(MAGNITUDES, "N", len(spec.magnitude_bands)),
    ]
    outputs = [
        _value(OUTPUTS[0], "N"),
        _value(OUTPUTS[1], "N", len(QUANTILE_LEVELS)),
        _value(OUTPUTS[2], "N"),
    ]
    graph = helper.make_graph(
        [*before.nodes, *foreign.graph.node, *after.nodes],
        "wrapped",
        inputs,
        outputs,
        [*foreign.graph.initializer, *before.constants, *after.constants],
    )
    return helper.make_model(
        graph,
        opset_imports=foreign.opset_import,
        functions=foreign.functions,
        ir_version=foreign.ir_version,
    )


def _value(name: str, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _modern(foreign: Any) -> Any:
    from onnx import version_converter

    if _opset(foreign) >= OLDEST_OPSET:
        return foreign
    return version_converter.convert_version(foreign, OLDEST_OPSET)


def _opset(model: Any) -> int:
    return next(
        int(opset.version) for opset in model.opset_import if opset.domain in ("", "ai.onnx")
    )


def _prepare_images(g: _Nodes, spec: WrapSpec) -> None:
    filled = g.add("Where", g.add("IsNaN", STAMPS), g.constant(0), STAMPS)
    pixels = g.add("Mul", filled, g.constant(spec.flux_scale))
    if spec.stretch == "percentile":
        n_pixels, n_bands = spec.stamp_size**2, len(spec.image_bands)
        flat = g.add("Reshape", pixels, g.constant([-1, n_bands, n_pixels], np.int64))
        ordered = g.add(
            "TopK", flat, g.constant([n_pixels], np.int64), outputs=2, axis=2, largest=0
        )
        low, high = (
            _percentile(g, ordered, percentile, n_pixels, n_bands)
            for percentile in spec.percentiles
        )
        width = g.add("Add", g.add("Sub", high, low), g.constant(spec.epsilon))
        pixels = g.add(
            "Clip", g.add("Div", g.add("Sub", pixels, low), width), g.constant(0), g.constant(1)
        )
    order = [0, 2, 3, 1] if spec.layout == "NHWC" else [0, 1, 2, 3]
    g.add("Transpose", pixels, perm=order, out=f"foreign/{spec.image_input}")


def _percentile(g: _Nodes, ordered: str, percentile: float, n_pixels: int, n_bands: int) -> str:
    """Linear between the two order statistics around it, as numpy does."""
    rank = (n_pixels - 1) * percentile / 100
    below = g.add("Gather", ordered, g.constant(int(np.floor(rank)), np.int64), axis=2)
    above = g.add("Gather", ordered, g.constant(int(np.ceil(rank)), np.int64), axis=2)
    step = g.add("Mul", g.add("Sub", above, below), g.constant(rank - np.floor(rank)))
    return g.add("Reshape", g.add("Add", below, step), g.constant([-1, n_bands, 1, 1], np.int64))


def _prepare_magnitudes(g: _Nodes, spec: WrapSpec) -> str:
    centred = g.add("Sub", MAGNITUDES, g.constant(spec.magnitude_mean))
    standard = g.add("Div", centred, g.constant(spec.magnitude_scale))
    return g.add(
        "Where",
        g.add("IsNaN", standard),
        g.constant(0),
        standard,
        out=f"foreign/{spec.magnitude_input}",
    )


def _finish(g: _Nodes, spec: WrapSpec, standard: str) -> None:
    flat = g.constant([-1], np.int64)
    z = g.add("Reshape", f"foreign/{spec.output}", flat)
    if spec.target == "log1pz":
        z = g.add("Sub", g.add("Exp", z), g.constant(1))
    limits = g.constant(spec.z_min), g.constant(spec.z_max)
    z = g.add("Clip", z, *limits, out=OUTPUTS[0])
    column = g.add("Reshape", z, g.constant([-1, 1], np.int64))
    steps = [spec.scatter * NormalDist().inv_cdf(level) for level in QUANTILE_LEVELS]
    widths = g.add("Mul", g.add("Add", column, g.constant(1)), g.constant([steps]))
    g.add("Clip", g.add("Add", column, widths), *limits, out=OUTPUTS[1])
    largest = g.add("TopK", g.add("Abs", standard), g.constant([1], np.int64), outputs=2, axis=1)
    g.add("Reshape", g.add("Div", largest, g.constant(FAR_SIGMAS)), flat, out=OUTPUTS[2])


def _golden(bare: Path, spec: WrapSpec) -> Golden:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    n_bands = len(spec.image_bands), len(spec.magnitude_bands)
    inputs = golden_inputs(GOLDEN_SEED, GOLDEN_NUMBER, *n_bands, spec.stamp_size)
    feeds = dict(zip((STAMPS, MAGNITUDES), inputs, strict=True))
    failures = (
        native.Fail,
        native.InvalidArgument,
        native.InvalidGraph,
        native.NotImplemented,
        native.RuntimeException,
    )
    try:
        session = onnxruntime.InferenceSession(bare, providers=["CPUExecutionProvider"])
        z_N, quantiles_NQ, distance_N = session.run(list(OUTPUTS), feeds)
    except failures as error:
        raise BundleError(
            f"the wrapped graph does not run: {str(error).splitlines()[0]}"
        ) from error
    return record(GOLDEN_SEED, (z_N, quantiles_NQ, distance_N))


def _contract(foreign: Any, spec: WrapSpec, golden: Golden) -> ModelContract:
    rule = {name: getattr(spec, name) for name in StampRule.model_fields}
    distance = "largest distance of a magnitude from the scaler's mean"
    domain = Domain(
        meaning=f"{distance}, in {FAR_SIGMAS:g} standard deviations",
        fraction_inside=None,
    )
    return ModelContract(
        **rule,
        name=spec.name,
        version=spec.version,
        licence=spec.licence,
        z_min=spec.z_min,
        z_max=spec.z_max,
        training=spec.training,
        network=f"wrapped: {foreign.graph.name or 'unnamed'}",
        multiply_adds=0,
        opset=max(_opset(foreign), OLDEST_OPSET),
        quantile_levels=QUANTILE_LEVELS,
        domain=domain,
        test_metrics={},
        golden=golden,
    )
