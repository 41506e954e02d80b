#!/usr/bin/env bash
# skl2onnx makes a number of what PowerTransformer leaves missing.
#
# scikit-learn's PowerTransformer (Yeo-Johnson, its default) gives NaN for NaN. The exported graph
# gives what the power 0 becomes: a missing magnitude lies 25 to 30 standard deviations below the
# mean, and what follows takes it for a measured one. With method="box-cox" NaN stays NaN.
#
# Seen with scikit-learn 1.9.1, skl2onnx 1.20.0 and onnxruntime 1.32.0 on 29 November 2026.
# Exit status 1 if NaN stays NaN with both methods.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 scikit-learn==1.9.1 skl2onnx==1.20.0
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.preprocessing import PowerTransformer

magnitudes = np.random.default_rng(1).normal(22, 1, (2000, 2)).astype(np.float32)
rows = np.array([[np.nan, 22], [22, np.nan], [21, 23]], np.float32)
kept = {}
for method in ("yeo-johnson", "box-cox"):
    power = PowerTransformer(method).fit(magnitudes)
    graph = to_onnx(power, magnitudes[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    exported, wanted = session.run(None, {"X": rows})[0], power.transform(rows)
    print(f"{method}: scikit-learn {wanted.round(2).tolist()}, exported {exported.round(2).tolist()}")
    measured = np.isfinite(wanted)
    assert np.abs(exported - wanted)[measured].max() < 1e-4
    kept[method] = bool(np.isnan(exported[~measured]).all())
sys.exit(0 if kept == {"yeo-johnson": False, "box-cox": True} else 1)
PY
