#!/usr/bin/env bash
# skl2onnx writes neighbours that are weighted by distance so that all have the same weight.
#
# The distances are multiplied by -1 and then raised to at least 1e-6: every one becomes 1e-6. The
# exported KNeighborsRegressor(weights="distance") gives the plain mean of its neighbours, also for
# a galaxy of its own training set, whose redshift scikit-learn gives back. Nothing is said.
#
# Seen with scikit-learn 1.9.1, skl2onnx 1.20.0 and onnxruntime 1.32.0 on 29 November 2026.
# Exit status 1 if the exported weights are those of the distances.
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
from sklearn.neighbors import KNeighborsRegressor

rng = np.random.default_rng(1)
known, new = rng.normal(22, 1, (2, 2000, 5)).astype(np.float32)
z = (0.5 + 0.1 * (known[:, 0] - known[:, 1]) + 0.02 * (known[:, 2] - 22)).astype(np.float32)


def exported(model, rows):
    graph = to_onnx(model, rows[:1]).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, {"X": rows})[0][:, 0]


by_distance = KNeighborsRegressor(5, weights="distance").fit(known, z)
uniform = KNeighborsRegressor(5).fit(known, z)
equal = True
for name, rows in (("new galaxies", new), ("its own galaxies", known)):
    answer = exported(by_distance, rows)
    off = np.abs(answer - by_distance.predict(rows))
    off_uniform = np.abs(answer - uniform.predict(rows))
    print(
        f"{name}: off by {np.median(off):.1e} (median), {off.max():.1e} at most;"
        f" from uniform weights {off_uniform.max():.0e} at most"
    )
    equal &= bool(off_uniform.max() < 1e-5 < np.median(off))
assert np.abs(exported(uniform, new) - uniform.predict(new)).max() < 1e-5
sys.exit(0 if equal else 1)
PY
