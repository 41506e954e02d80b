#!/usr/bin/env bash
# A network quantised "dynamically" answers differently for a row when other rows are beside it.
#
# quantize_dynamic makes the scale of each activation from the whole batch at run time. A row's
# output then depends on its neighbours: measured alone, in a batch, or beside one outlier, the same
# galaxy has three redshifts. A survey split over workers is not reproducible with such a model.
#
# Seen with onnxruntime 1.32.0 on 27 November 2026. Exit status 1 if rows are independent.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" -W ignore - "$folder" <<'PY'
import logging
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

logging.disable(logging.WARNING)
rng = np.random.default_rng(1)
weights = [rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((9, 64), (64, 1))]
nodes = [
    helper.make_node("MatMul", ["x", "w0"], ["a"]),
    helper.make_node("Relu", ["a"], ["b"]),
    helper.make_node("MatMul", ["b", "w1"], ["y"]),
]
graph = helper.make_graph(
    nodes,
    "dense",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 9])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
    [numpy_helper.from_array(w, f"w{k}") for k, w in enumerate(weights)],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
plain, small = f"{sys.argv[1]}/plain.onnx", f"{sys.argv[1]}/int8.onnx"
onnx.save(model, plain)
quantize_dynamic(plain, small, weight_type=QuantType.QInt8)


def largest_change(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = rng.normal(0, 1, (100, 9)).astype(np.float32)
    outlier = np.full((1, 9), 30, np.float32)
    together = session.run(None, {"x": np.vstack([x, outlier])})[0][:100]
    alone = np.vstack([session.run(None, {"x": row[None]})[0] for row in x])
    return float(np.abs(together - alone).max() / alone.std())


float_change, int8_change = largest_change(plain), largest_change(small)
print(f"largest change of a row, in scatters of the output: float32 {float_change:.1e}, int8 {int8_change:.2f}")
assert float_change < 1e-4
sys.exit(0 if int8_change > 0.05 else 1)
PY
