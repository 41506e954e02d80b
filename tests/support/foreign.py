"""Networks of other makers in a few nodes: sound ones, and ones whose rows depend on each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from photoz_models.contract import (
    MAGNITUDES,
    OUTPUTS,
    STAMPS,
    Domain,
    ModelContract,
    Training,
    write_contract,
)
from photoz_models.golden import golden_inputs, record
from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS

SIZE = 12
LEVELS = (0.16, 0.5, 0.84)
TRAINING = Training(
    set_name="theirs", digest="", simulated=False, number=1, date="", commit="", seed=0
)
MEANS = tuple(19.0 - 0.2 * k for k in range(9))
SCALES = tuple(1.0 + 0.1 * k for k in range(9))
ROWS = 12
"""Golden galaxies of a bundle."""

WEIGHTS = np.random.default_rng(0).normal(0, 0.02, (13, 1)).astype(np.float32)

NODE = helper.make_node

DEPENDENT = ("batch_mean", "batch_size", "batch_norm", "dropout", "random")
"""Kinds of `core` whose rows depend on each other."""


def core(
    kind: str, image: str, table: str, axes: Sequence[int]
) -> tuple[list[Any], dict[str, Any]]:
    """z = 0.2 + w . (mean pixel of each band, magnitudes), and what ``kind`` spoils; constants.

    Magnitudes are those minus 19; missing ones and pixels are 0. The result is ``z`` [N, 1].
    """
    constants: dict[str, Any] = {
        "weights": WEIGHTS,
        "z0": np.float32([0.2]),
        "zero": np.float32(0),
        "nineteen": np.float32(19),
        "space": np.int64(axes),
        "rows": np.int64([0]),
        "shape": np.int64([ROWS, 13]),
        "one_C": np.ones(13, np.float32),
        "zero_C": np.zeros(13, np.float32),
        "half": np.float32(0.5),
        "true": np.array(True),
    }
    nodes = [
        NODE("IsNaN", [image], ["bad"]),
        NODE("Where", ["bad", "zero", image], ["filled"]),
        NODE("ReduceMean", ["filled", "space"], ["means"], keepdims=0),
        NODE("Sub", [table, "nineteen"], ["centred"]),
        NODE("IsNaN", ["centred"], ["lost"]),
        NODE("Where", ["lost", "zero", "centred"], ["known"]),
        NODE("Concat", ["means", "known"], ["all"], axis=1),
        *_spoil(kind),
        NODE("Gemm", ["spoilt", "weights", "z0"], ["z"]),
    ]
    return nodes, constants


def _spoil(kind: str) -> list[Any]:
    if kind == "batch_mean":
        mean = NODE("ReduceMean", ["all", "rows"], ["mean"], keepdims=1)
        return [mean, NODE("Sub", ["all", "mean"], ["spoilt"])]
    if kind == "batch_size":
        return [NODE("Reshape", ["all", "shape"], ["spoilt"])]
    if kind == "batch_norm":
        inputs = ["all", "one_C", "zero_C", "zero_C", "one_C"]
        outputs = ["spoilt", "running_mean", "running_variance"]
        return [NODE("BatchNormalization", inputs, outputs, training_mode=1)]
    if kind == "dropout":
        return [NODE("Dropout", ["all", "half", "true"], ["spoilt"])]
    if kind == "random":
        noise = NODE("RandomNormalLike", ["all"], ["noise"], scale=0.5)
        return [noise, NODE("Add", ["all", "noise"], ["spoilt"])]
    return [NODE("Identity", ["all"], ["spoilt"])]


def foreign_file(path: Path, kind: str = "sound") -> Path:
    """A graph as another maker would bring it: images [N, H, W, C] ``img``, table ``mags``."""
    nodes, constants = core(kind, "img", "mags", (1, 2))
    inputs = {"img": ("N", SIZE, SIZE, 4), "mags": ("N", 9)}
    onnx.save(model_of(nodes, constants, inputs, {"z": ("N", 1)}), path)
    return path


def sealed_file(path: Path, kind: str = "sound") -> Path:
    """A bundle made by hand around `core`, with the golden values that it gives to twelve rows."""
    nodes, constants = core(kind, STAMPS, MAGNITUDES, (2, 3))
    constants["flat"] = np.int64([-1])
    constants["steps"] = np.float32([[-0.01, 0, 0.01]])
    nodes += [
        NODE("Reshape", ["z", "flat"], [OUTPUTS[0]]),
        NODE("Add", ["z", "steps"], [OUTPUTS[1]]),
        NODE("Mul", [OUTPUTS[0], "zero"], [OUTPUTS[2]]),
    ]
    inputs = {STAMPS: ("N", 4, SIZE, SIZE), MAGNITUDES: ("N", 9)}
    outputs = {OUTPUTS[0]: ("N",), OUTPUTS[1]: ("N", 3), OUTPUTS[2]: ("N",)}
    onnx.save(model_of(nodes, constants, inputs, outputs), path)
    seal_by_hand(path, kind)
    return path


def seal_by_hand(path: Path, network: str) -> None:
    """Give the graph in ``path`` a contract, with the golden values that it has today."""
    import onnxruntime

    arrays = golden_inputs(7, ROWS, 4, 9, SIZE)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answers = session.run(list(OUTPUTS), dict(zip((STAMPS, MAGNITUDES), arrays, strict=True)))
    contract = ModelContract(
        name="by hand",
        version="1",
        network=network,
        multiply_adds=0,
        opset=18,
        image_bands=IMAGE_BANDS,
        magnitude_bands=MAGNITUDE_BANDS,
        stamp_size=SIZE,
        pixel_scale=0.2,
        dmag_applied=False,
        extinction_corrected=False,
        quantile_levels=LEVELS,
        z_min=0.0,
        z_max=1.0,
        domain=Domain(meaning="none", fraction_inside=None),
        training=TRAINING,
        test_metrics={},
        licence="none",
        golden=record(7, answers),
    )
    write_contract(path, contract, path)


def model_of(
    nodes: Sequence[Any],
    constants: dict[str, Any],
    inputs: dict[str, tuple[int | str, ...]],
    outputs: dict[str, tuple[int | str, ...]],
    opset: int = 18,
) -> Any:
    """A model of float32 inputs and outputs."""
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        list(nodes),
        "theirs",
        [_value(name, shape) for name, shape in inputs.items()],
        [_value(name, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items() if k in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def _value(name: str, shape: tuple[int | str, ...]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
