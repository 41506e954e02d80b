#!/usr/bin/env bash
# onnxmltools writes XGBoost's several quantiles as one column beside columns of zeros.
#
# A model of "reg:quantileerror" with three quantile_alpha, or of two targets, has trees for each.
# The exported file has as many columns, but every tree adds to the first. Nothing is said. Of
# "reg:logistic" the logistic function is left out. One quantile alone comes through.
# The targets were reported as onnxmltools issue 676; the release below has them still.
#
# Seen with xgboost 3.2.0, onnxmltools 1.16.0 and onnxruntime 1.32.0 on 29 November 2026.
# Exit status 1 if three quantiles, two targets or the logistic function come through.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 onnxmltools==1.16.0 skl2onnx==1.20.0 \
    xgboost-cpu==3.2.0 scikit-learn==1.9.1
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import onnxruntime
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

rng = np.random.default_rng(1)
magnitudes = rng.normal(22, 1, (4000, 4)).astype(np.float32)
z = 0.5 + 0.1 * (magnitudes[:, 0] - magnitudes[:, 1]) + 0.02 * (magnitudes[:, 2] - 22)
z = np.clip(z + rng.normal(0, 0.02, len(z)), 0.01, 0.99)


def both(target, **settings):
    model = xgboost.XGBRegressor(n_estimators=30, **settings).fit(magnitudes, target)
    graph = convert_xgboost(model, initial_types=[("X", FloatTensorType([None, 4]))])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    exported = session.run(None, {"X": magnitudes})[0]
    return exported, model.predict(magnitudes).reshape(exported.shape)


quantile = "reg:quantileerror"
one, one_wanted = both(z, objective=quantile, quantile_alpha=0.5)
assert np.abs(one - one_wanted).max() < 1e-5
lost = []
for name, target, settings in (
    ("three quantiles", z, {"objective": quantile, "quantile_alpha": np.array([0.16, 0.5, 0.84])}),
    ("two targets", np.stack([z, z**2], 1), {}),
    ("reg:logistic", z, {"objective": "reg:logistic"}),
):
    exported, wanted = both(target, **settings)
    print(f"{name}: XGBoost {wanted[0].round(2).tolist()}, exported {exported[0].round(2).tolist()}")
    lost.append(bool(np.median(np.abs(exported - wanted)) > 0.1))
    assert exported.shape[1] == 1 or not exported[:, 1:].any() or not lost[-1]
sys.exit(0 if all(lost) else 1)
PY
