"""The foreign graph between the nodes that prepare its inputs and those that read its outputs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from photoz_models.contract import MAGNITUDES, METADATA_KEY, OUTPUTS, STAMPS
from photoz_models.wrapping.before import prepare_images, prepare_magnitudes
from photoz_models.wrapping.foreign import PREFIX, element_type, rename
from photoz_models.wrapping.heads import finish, levels_of
from photoz_models.wrapping.nodes import Nodes, float_value
from photoz_models.wrapping.spec import WrapSpec


@dataclass(frozen=True)
class Foreign:
    """A foreign model under its own names, and the number of axes of each output in use."""

    model: Any
    axes: dict[str, int]


def prepared(model: Any, spec: WrapSpec) -> tuple[Nodes, str | None]:
    """Nodes that feed the foreign inputs, and the name of the standardised magnitudes."""
    before, known = Nodes("before"), None
    if spec.image_input is not None:
        prepare_images(before, spec, element_type(model, spec.image_input))
    if spec.magnitude_input is not None:
        known = prepare_magnitudes(before, spec, element_type(model, spec.magnitude_input))
    return before, known


def compose(foreign: Foreign, spec: WrapSpec, matrix_QQ: NDArray[np.float64] | None = None) -> Any:
    """The model of a bundle, without its contract; ``matrix_QQ`` calibrates the quantiles."""
    before, known = prepared(foreign.model, spec)
    after = Nodes("after")
    finish(after, spec, foreign.axes, known, matrix_QQ)
    outputs = [
        float_value(OUTPUTS[0], "N"),
        float_value(OUTPUTS[1], "N", len(levels_of(spec))),
        float_value(OUTPUTS[2], "N"),
    ]
    return assembled(foreign.model, spec, before, after, outputs)


def assembled(model: Any, spec: WrapSpec, before: Nodes, after: Nodes, outputs: list[Any]) -> Any:
    """The foreign graph between our nodes; its functions and metadata are kept."""
    foreign = onnx.ModelProto()
    foreign.CopyFrom(model)
    rename(foreign)
    fed = {f"{PREFIX}{name}" for name in (spec.image_input, spec.magnitude_input)}
    constants = [tensor for tensor in foreign.graph.initializer if tensor.name not in fed]
    inputs = []
    if spec.image_bands:
        inputs.append(float_value(STAMPS, "N", *spec.stamp_shape()))
    if spec.magnitude_bands:
        inputs.append(float_value(MAGNITUDES, "N", len(spec.magnitude_bands)))
    graph = helper.make_graph(
        [*before.nodes, *foreign.graph.node, *after.nodes],
        "wrapped",
        inputs,
        outputs,
        [*constants, *before.constants, *after.constants],
        doc_string=foreign.graph.doc_string or None,
        sparse_initializer=list(foreign.graph.sparse_initializer),
    )
    graph.quantization_annotation.extend(foreign.graph.quantization_annotation)
    composed = helper.make_model(
        graph,
        opset_imports=foreign.opset_import,
        functions=foreign.functions,
        ir_version=foreign.ir_version,
        producer_name=foreign.producer_name,
        producer_version=foreign.producer_version,
        doc_string=foreign.doc_string,
    )
    kept = {entry.key: entry.value for entry in foreign.metadata_props}
    kept.pop(METADATA_KEY, None)
    helper.set_model_props(composed, kept)
    return composed


def untyped(value: Any) -> Any:
    """An output under its name in the bundle, without the shape that it declares."""
    output = onnx.ValueInfoProto()
    output.CopyFrom(value)
    output.name = PREFIX + value.name
    if output.type.HasField("tensor_type"):
        output.type.tensor_type.ClearField("shape")
        if output.type.tensor_type.elem_type == TensorProto.UNDEFINED:
            output.ClearField("type")
    return output
