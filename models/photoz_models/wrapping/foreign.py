"""The foreign graph: read, checked, brought to an opset and names that fit beside other nodes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper

from photoz_models.errors import BundleError
from photoz_models.independence import likely_maker, signs_in
from photoz_models.runtime import first_line, one_line, read_model
from photoz_models.wrapping.nodes import OLDEST_OPSET
from photoz_models.wrapping.spec import WrapSpec

PREFIX = "foreign/"
"""Begins every name of the foreign graph in the bundle."""

USUAL_OPSET = 18
"""Of graphs that have no operator of the default domain."""

OLDER_OPSET = 23
"""What a graph is converted to whose opset is newer than the runtime reads."""

IR_VERSIONS = (8, 10)
"""The oldest with functions, and one that every runtime in use reads."""

UNREADABLE = (
    OSError,
    ValueError,
    RuntimeError,
    TypeError,
    onnx.checker.ValidationError,
    DecodeError,
    EncodeError,
)

CASTABLE = {
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.INT64: "int64",
    TensorProto.INT32: "int32",
}
"""Kinds of numbers that an input may have: it is cast to them in the graph."""

WHOLE = (TensorProto.INT64, TensorProto.INT32)


def read_foreign(path: Path, spec: WrapSpec) -> Any:
    """The model in an ONNX file: external data in it, an opset that the runtime reads.

    Raises
    ------
    BundleError
        If it cannot be read, lacks a named input or output, has others, or is in training mode.
    """
    content = read_model(path)
    model = load_graph(path)
    _check_names(model, spec, path)
    _check_inputs(model, spec, path)
    _check_mode(model, content, path)
    try:
        model = _with_known_opset(model)
    except UNREADABLE as error:
        version = opset(model)
        raise BundleError(
            f"{path}: opset {version} cannot be converted to one that this program knows:"
            f" {first_line(error)}"
        ) from error
    model.ir_version = min(max(model.ir_version, IR_VERSIONS[0]), IR_VERSIONS[1])
    return model


def load_graph(path: Path) -> Any:
    """The model in an ONNX file, external data in it.

    Raises
    ------
    BundleError
        If it cannot be read.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except UNREADABLE as error:
        raise BundleError(f"{path}: cannot be read as ONNX: {first_line(error)}") from error
    return model


def opset(model: Any) -> int | None:
    """Version of the default domain, if the model has it."""
    versions = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    return next(map(int, versions), None)


def element_type(model: Any, name: str) -> int:
    """Kind of numbers of an input."""
    value = next(value for value in model.graph.input if value.name == name)
    return int(value.type.tensor_type.elem_type)


def rename(model: Any) -> None:
    """Put `PREFIX` before every name of the graph, in place.

    All names of the graph and of the bodies in it are treated alike, so that what belongs together
    still does, whichever body uses which outer name. Functions have names of their own and stay.
    """
    _rename_graph(model.graph)


def nodes_of(model: Any) -> Iterator[Any]:
    """All nodes: of the graph, of bodies within it, of functions."""
    yield from _nodes_in(model.graph.node)
    for function in model.functions:
        yield from _nodes_in(function.node)


def column_range(reference: str, names: list[str]) -> tuple[str, slice | None]:
    """Name of an output and the columns of it that ``name[2]`` or ``name[0:5]`` means.

    Raises
    ------
    BundleError
        If there is no such output, or no such range.
    """
    if reference in names:
        return reference, None
    name, bracket, rest = reference.rpartition("[")
    if not bracket or name not in names or not rest.endswith("]"):
        raise BundleError(f"no {reference!r} among the outputs {names}")
    first, colon, last = rest[:-1].partition(":")
    try:
        start = int(first)
        stop = int(last) if colon else start + 1
    except ValueError as error:
        raise BundleError(f"{reference!r}: columns are named as in z[0] or z[0:5]") from error
    if not 0 <= start < stop:
        raise BundleError(f"{reference!r}: there are no such columns")
    return name, slice(start, stop)


def references(spec: WrapSpec) -> list[str]:
    """The outputs that a specification names."""
    return [name for name in (spec.output, spec.sigma, spec.weights) if name is not None]


def _check_names(model: Any, spec: WrapSpec, path: Path) -> None:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in constants]
    outputs = [value.name for value in model.graph.output]
    named = [name for name in (spec.image_input, spec.magnitude_input) if name is not None]
    for wanted in named:
        if wanted not in [value.name for value in model.graph.input]:
            raise BundleError(f"{path}: no {wanted!r}; inputs are {inputs}, outputs {outputs}")
    unfed = [name for name in inputs if name not in named]
    if unfed:
        raise BundleError(f"{path}: the graph also wants the inputs {unfed}")
    used = set(spec.ignored_outputs)
    for reference in references(spec):
        try:
            used.add(column_range(reference, outputs)[0])
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from error
    unused = [name for name in outputs if name not in used]
    if unused:
        raise BundleError(
            f"{path}: the graph also gives {unused}: say what they are, or name them in"
            " ignored_outputs"
        )


def _check_inputs(model: Any, spec: WrapSpec, path: Path) -> None:
    bands, size = len(spec.image_bands), spec.stamp_size
    shapes = {
        "image": (bands, size, size) if spec.layout == "NCHW" else (size, size, bands),
        "magnitude": (len(spec.magnitude_bands),),
    }
    for value in model.graph.input:
        for kind, shape in shapes.items():
            if value.name == getattr(spec, f"{kind}_input"):
                _check_input(value, kind, shape, spec, path)


def _check_input(value: Any, kind: str, shape: tuple[int, ...], spec: WrapSpec, path: Path) -> None:
    tensor = value.type.tensor_type
    where = f"{path}: the input {value.name!r}"
    if not value.type.HasField("tensor_type") or tensor.elem_type not in CASTABLE:
        raise BundleError(f"{where} does not take numbers; it may take {list(CASTABLE.values())}")
    if tensor.elem_type in WHOLE and kind == "magnitude" and spec.missing == "nan":
        raise BundleError(f"{where} takes whole numbers, which have no NaN: give missing a value")
    if not tensor.HasField("shape"):
        return
    declared = [dim.dim_value or None for dim in tensor.shape.dim]
    fits = len(declared) == len(shape) + 1 and all(
        given in (None, wanted) for given, wanted in zip(declared[1:], shape, strict=True)
    )
    if not fits:
        shown = [dim.dim_value or dim.dim_param or "?" for dim in tensor.shape.dim]
        raise BundleError(
            f"{path}: the wrapped graph does not run: its input {value.name!r} has shape {shown},"
            f" by the specification it is N x {shape}"
        )


def _check_mode(model: Any, content: bytes, path: Path) -> None:
    """Refuse what only training needs; a runtime may or may not leave it out."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in nodes_of(model):
        attributes = {attribute.name: attribute for attribute in node.attribute}
        mode = attributes.get("training_mode")
        training = mode is not None and mode.i == 1
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] in constants:
            training = bool(numpy_helper.to_array(constants[node.input[2]]).any())
        if training:
            signs = signs_in(content) - {b"DynamicQuantize", b"MatMulIntegerToFloat"}
            raise BundleError(f"{path}: {likely_maker(signs, 'training')}")


def _with_known_opset(model: Any) -> Any:
    from onnx import inliner, version_converter

    version = opset(model)
    default_nodes = [node for node in nodes_of(model) if node.domain in ("", "ai.onnx")]
    if version is None:
        model.opset_import.append(helper.make_opsetid("", USUAL_OPSET))
        return model
    if version >= OLDEST_OPSET and _runtime_reads(version):
        return model
    if not default_nodes:
        next(e for e in model.opset_import if e.domain in ("", "ai.onnx")).version = USUAL_OPSET
        return model
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if model.functions:
        model = inliner.inline_local_functions(model)
    wanted = OLDEST_OPSET if version < OLDEST_OPSET else OLDER_OPSET
    converted = version_converter.convert_version(model, wanted)
    helper.set_model_props(converted, metadata)
    return converted


def _runtime_reads(version: int) -> bool:
    import onnxruntime

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "probe", value[:1], value[1:]
    )
    probe = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", version)], ir_version=IR_VERSIONS[0]
    )
    try:
        with one_line("probe"):
            onnxruntime.InferenceSession(
                probe.SerializeToString(), providers=["CPUExecutionProvider"]
            )
    except BundleError:
        return False
    return True


def _rename_graph(graph: Any) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = _prefixed(value.name)
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = _prefixed(dim.dim_param)
    for tensor in graph.initializer:
        tensor.name = _prefixed(tensor.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = _prefixed(sparse.values.name)
    for note in graph.quantization_annotation:
        note.tensor_name = _prefixed(note.tensor_name)
        for entry in note.quant_parameter_tensor_names:
            entry.value = _prefixed(entry.value)
    for node in graph.node:
        node.name = _prefixed(node.name)
        node.input[:] = [_prefixed(name) for name in node.input]
        node.output[:] = [_prefixed(name) for name in node.output]
        for body in _bodies(node):
            _rename_graph(body)


def _prefixed(name: str) -> str:
    """An empty name means an absent value, and stays empty."""
    return PREFIX + name if name else name


def _bodies(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _nodes_in(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        yield node
        for body in _bodies(node):
            yield from _nodes_in(body.node)
