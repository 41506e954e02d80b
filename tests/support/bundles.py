"""A tiny real bundle whose outputs are a closed formula: tests know every redshift beforehand."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from photoz_models.contract import (
    MAGNITUDES,
    OUTPUTS,
    QUANTILE_LEVELS,
    STAMPS,
    Domain,
    ModelContract,
    Training,
    write_contract,
)
from photoz_models.golden import Golden, golden_inputs, record
from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS

FLUX_SCALE = 1e10
WIDTH = 0.04
MISSING_COLOUR = 0.5
GOLDEN_SEED = 20


def closed_form(
    stamps_NCHW: NDArray[np.float32],
    magnitudes_NB: NDArray[np.float32],
    levels: tuple[float, ...] = QUANTILE_LEVELS,
    z_min: float = 0.0,
    z_max: float = 1.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """What `closed_form_bundle` returns: z = 0.1 + 0.1 (g - r) + 0.05 <flux / 1e-10>, clipped.

    <> is the mean over the finite pixels, 0 without any; g - r is 0.5 if one is missing.
    Quantiles are z + 0.04 (level - 0.5), and the domain distance is |g - r - 0.5|.
    """
    good_NCHW = np.isfinite(stamps_NCHW)
    flux_N = np.where(good_NCHW, stamps_NCHW * FLUX_SCALE, 0).sum(axis=(1, 2, 3))
    mean_N = flux_N / np.maximum(good_NCHW.sum(axis=(1, 2, 3)), 1)
    colour_N = magnitudes_NB[:, 1] - magnitudes_NB[:, 2]
    colour_N = np.where(np.isfinite(colour_N), colour_N, MISSING_COLOUR)
    z_N = np.clip(0.1 + 0.1 * colour_N + 0.05 * mean_N, z_min, z_max).astype(np.float32)
    quantiles_NQ = z_N[:, None] + WIDTH * (np.array(levels, np.float32) - 0.5)
    return (
        z_N,
        quantiles_NQ.astype(np.float32),
        np.abs(colour_N - MISSING_COLOUR).astype(np.float32),
    )


def closed_form_contract(**overrides: Any) -> ModelContract:
    """The contract of `closed_form_bundle`, with golden values by its formula."""
    fields: dict[str, Any] = {
        "name": "closed-form",
        "version": "1",
        "network": "z = 0.1 + 0.1 (g - r) + 0.05 <flux / 1e-10>",
        "multiply_adds": 0,
        "opset": 18,
        "image_bands": IMAGE_BANDS,
        "magnitude_bands": MAGNITUDE_BANDS,
        "stamp_size": 36,
        "pixel_scale": 0.2,
        "dmag_applied": True,
        "extinction_corrected": True,
        "quantile_levels": QUANTILE_LEVELS,
        "z_min": 0.0,
        "z_max": 1.0,
        "domain": Domain(meaning="|g - r - 0.5|", fraction_inside=0.9),
        "training": Training(
            set_name="none: a formula",
            digest="",
            simulated=True,
            number=0,
            date="",
            commit="",
            seed=0,
        ),
        "test_metrics": {},
        "licence": "BSD-3-Clause",
        "golden": Golden(
            seed=GOLDEN_SEED, number=1, z_N=(0.0,), quantiles_NQ=((),), domain_distance_N=(0.0,)
        ),
    }
    contract = ModelContract(**{**fields, **overrides})
    if "golden" in overrides:
        return contract
    inputs = golden_inputs(
        GOLDEN_SEED,
        6,
        len(contract.image_bands),
        len(contract.magnitude_bands),
        contract.stamp_size,
    )
    outputs = closed_form(*inputs, contract.quantile_levels, contract.z_min, contract.z_max)
    return contract.model_copy(update={"golden": record(GOLDEN_SEED, outputs)})


def closed_form_bundle(path: Path, **overrides: Any) -> ModelContract:
    """Write a bundle with the outputs of `closed_form`; ``overrides`` change its contract."""
    contract = closed_form_contract(**overrides)
    onnx.save(_graph(contract), path)
    return write_contract(path, contract, path)


def _graph(contract: ModelContract) -> onnx.ModelProto:
    """The graph of `closed_form`; of a contract without image bands it reads no stamps."""
    constants = {
        "zero": np.float32(0),
        "one": np.float32(1),
        "scale": np.float32(FLUX_SCALE),
        "g": np.array([1], np.int64),
        "r": np.array([2], np.int64),
        "pixels": np.array([1, 2, 3], np.int64),
        "bands": np.array([1], np.int64),
        "half": np.float32(MISSING_COLOUR),
        "slope": np.float32(0.1),
        "flux_slope": np.float32(0.05),
        "z_min": np.float32(contract.z_min),
        "z_max": np.float32(contract.z_max),
        "offsets": (WIDTH * (np.array([contract.quantile_levels]) - 0.5)).astype(np.float32),
    }
    node = helper.make_node
    of_stamps = [
        node("IsNaN", [STAMPS], ["bad"]),
        node("Mul", [STAMPS, "scale"], ["scaled"]),
        node("Where", ["bad", "zero", "scaled"], ["filled"]),
        node("Where", ["bad", "zero", "one"], ["weight"]),
        node("ReduceSum", ["filled", "pixels"], ["total"], keepdims=0),
        node("ReduceSum", ["weight", "pixels"], ["count"], keepdims=0),
        node("Max", ["count", "one"], ["divisor"]),
        node("Div", ["total", "divisor"], ["mean"]),
    ]
    nodes = [
        *(of_stamps if contract.image_bands else [node("Identity", ["zero"], ["mean"])]),
        node("Gather", [MAGNITUDES, "g"], ["mag_g"], axis=1),
        node("Gather", [MAGNITUDES, "r"], ["mag_r"], axis=1),
        node("Sub", ["mag_g", "mag_r"], ["raw_colour"]),
        node("IsNaN", ["raw_colour"], ["no_colour"]),
        node("Where", ["no_colour", "half", "raw_colour"], ["colour_column"]),
        node("Squeeze", ["colour_column", "bands"], ["colour"]),
        node("Mul", ["colour", "slope"], ["from_colour"]),
        node("Mul", ["mean", "flux_slope"], ["from_flux"]),
        node("Sum", ["from_colour", "from_flux", "slope"], ["unclipped"]),
        node("Clip", ["unclipped", "z_min", "z_max"], [OUTPUTS[0]]),
        node("Unsqueeze", [OUTPUTS[0], "bands"], ["z_column"]),
        node("Add", ["z_column", "offsets"], [OUTPUTS[1]]),
        node("Sub", ["colour", "half"], ["from_centre"]),
        node("Abs", ["from_centre"], [OUTPUTS[2]]),
    ]
    inputs = {name: ["N", *shape] for name, shape in contract.input_shapes().items()}
    outputs = {
        OUTPUTS[0]: ["N"],
        OUTPUTS[1]: ["N", len(contract.quantile_levels)],
        OUTPUTS[2]: ["N"],
    }
    graph = helper.make_graph(
        nodes,
        "closed_form",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in inputs.items()
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
