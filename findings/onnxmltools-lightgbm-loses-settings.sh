#!/usr/bin/env bash
# onnxmltools writes LightGBM's models without settings by which they compute something else.
#
# Of linear_tree=True the leaves keep their constant and lose their slopes; of boosting_type="rf" the
# trees are summed and scaled by another number than theirs; of reg_sqrt=True the square is not
# taken. In each case the file is written without a word and gives other redshifts than the model.
# The plain model agrees to 1e-6. (linear_tree was reported, to ONNX Runtime, as issue 25623.)
#
# Seen with lightgbm 4.7.0, onnxmltools 1.16.0 and onnxruntime 1.32.0 on 29 November 2026.
# Exit status 1 if one of these three comes through.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxmltools==1.16.0 skl2onnx==1.20.0 \
    lightgbm==4.7.0 scikit-learn==1.9.1
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import lightgbm
import numpy as np
import onnxruntime
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

rng = np.random.default_rng(1)
magnitudes = rng.normal(22, 1, (4000, 4)).astype(np.float32)
z = 0.6 + 0.1 * (magnitudes[:, 0] - magnitudes[:, 1]) + 0.02 * (magnitudes[:, 2] - 22)
z = np.maximum(z + rng.normal(0, 0.02, len(z)), 0.01)


def median_difference(**settings):
    model = lightgbm.LGBMRegressor(n_estimators=30, verbose=-1, random_state=0, **settings)
    model.fit(magnitudes, z)
    graph = convert_lightgbm(model, initial_types=[("X", FloatTensorType([None, 4]))])
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    exported = session.run(None, {"X": magnitudes})[0][:, 0]
    return float(np.median(np.abs(exported - model.predict(magnitudes))))


plain = median_difference()
lost = {
    "linear_tree": median_difference(linear_tree=True),
    "rf": median_difference(boosting_type="rf", bagging_freq=1, bagging_fraction=0.6),
    "reg_sqrt": median_difference(reg_sqrt=True),
}
print(f"plain {plain:.0e}; " + ", ".join(f"{name} {off:.1e}" for name, off in lost.items()))
assert plain < 1e-6
sys.exit(0 if min(lost.values()) > 1e-3 else 1)
PY
