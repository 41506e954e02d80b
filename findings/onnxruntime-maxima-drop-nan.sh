#!/usr/bin/env bash
# ONNX Runtime's maxima drop NaN, or keep it, by operator and place.
#
# On the CPU MaxPool over a window of two ignores a NaN wherever it stands, and ReduceMax gives NaN
# only if it comes first. numpy and torch give NaN wherever it stands: a network exported from torch
# can answer a number where torch gave NaN, so that an unusable pixel is not seen in the output.
#
# Seen with onnxruntime 1.32.0 (CPU) on 27 November 2026.
# Exit status 1 if every maximum beside a NaN is NaN.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

nan = np.nan


def run(node, shape, values):
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return float(session.run(None, {"x": np.float32(values).reshape(shape)})[0].squeeze())


pool = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2], strides=[2])
reduce = helper.make_node("ReduceMax", ["x"], ["y"], axes=[1], keepdims=0)
answers = {}
for name, node, shape in (("MaxPool", pool, [1, 1, 2]), ("ReduceMax", reduce, [1, 2])):
    answers[name] = [run(node, shape, values) for values in ([nan, 1.0], [1.0, nan])]
    print(f"{name}: NaN first -> {answers[name][0]}, NaN last -> {answers[name][1]}; numpy: nan")
all_nan = all(np.isnan(answer) for pair in answers.values() for answer in pair)
sys.exit(1 if all_nan else 0)
PY
