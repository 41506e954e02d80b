#!/usr/bin/env bash
# The float16 converter of ONNX Runtime rounds what its block list should keep.
#
# convert_float_to_float16(model, keep_io_types=True, op_block_list=[...]) is to leave some operators in
# float32, for numbers that float16 cannot hold. The operators are left, but each tensor that goes from
# one of them to the next, and each input of the graph, is written as float16 on its way: fluxes of 1e-12
# maggies become 0 and sums beyond 65504 infinite, without a warning, though every operator that touches
# them computes in float32. Blocking all operators does not help either.
#
# Seen with onnxruntime 1.32.0 and onnx 1.23.2 on 28 November 2026: the mean of 1000 fluxes of 2e-12,
# scaled to units of 1e-12, is 0 instead of 2; a sum of 100,000 is infinite.
# Exit status 1 if one of them comes out right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

N = 1000
KEPT = ["Mul", "ReduceSum"]


def converted(scale: float, factor: float) -> onnxruntime.InferenceSession:
    """flux * scale, summed, times factor: both operators are on the block list."""
    nodes = [
        helper.make_node("Mul", ["flux", "scale"], ["scaled"], name="scaling"),
        helper.make_node("ReduceSum", ["scaled"], ["total"], name="summing", keepdims=0),
        helper.make_node("Mul", ["total", "factor"], ["result"], name="finishing"),
    ]
    constants = {"scale": scale, "factor": factor}
    graph = helper.make_graph(
        nodes,
        "photometry",
        [helper.make_tensor_value_info("flux", TensorProto.FLOAT, [N])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, [])],
        [numpy_helper.from_array(np.float32(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    half = convert_float_to_float16(model, keep_io_types=True, op_block_list=KEPT)
    return onnxruntime.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])


flux = np.full(N, 2e-12, np.float32)
mean = float(converted(1e12, 1 / N).run(None, {"flux": flux})[0])
print(f"mean flux in units of 1e-12: {mean:g}, expected 2")
light = np.full(N, 100, np.float32)
total = float(converted(1.0, 1e-3).run(None, {"flux": light})[0])
print(f"a thousandth of the sum of 1000 times 100: {total:g}, expected 100")
sys.exit(0 if mean == 0 and np.isinf(total) else 1)
PY
