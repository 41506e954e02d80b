#!/usr/bin/env bash
# qp's quantile distributions do not integrate to 1, and their cumulative runs outside 0 to 1.
#
# A qp ensemble of the parametrisation "quant" is made from values at given quantile levels. Its
# probability density is a numerical derivative that is not normalised, and its cumulative a
# quadratic spline that overshoots between the quantiles.
#
# Seen with qp-prob 1.1.4 on 27 November 2026: for quantiles of a galaxy with a narrow peak and a
# long tail the density integrates to another number than 1, and the cumulative leaves 0 to 1.
# Exit status 1 if both are right to 1%.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 qp-prob==1.1.4
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import qp

levels = np.array([0.01, 0.05, 0.16, 0.5, 0.84, 0.95, 0.99])
values = np.array(
    [
        [0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40],
        [0.20, 0.24, 0.249, 0.25, 0.251, 0.26, 0.60],
        [0.20, 0.2495, 0.2499, 0.25, 0.30, 0.45, 0.60],
    ]
)
ensemble = qp.Ensemble(qp.quant, data={"quants": levels, "locs": values})
z = np.linspace(0, 0.8, 200_001)
density = ensemble.pdf(z)
total = np.trapezoid(density, z, axis=1)
cumulative = ensemble.cdf(z)
for row, values_Q in enumerate(values):
    print(
        f"quantiles {values_Q}: integral {total[row]:.3f},"
        f" cumulative {cumulative[row].min():.3f} to {cumulative[row].max():.3f},"
        f" falls by up to {-np.diff(cumulative[row]).min():.1e}"
    )
right = np.allclose(total, 1, atol=0.01)
bounded = cumulative.min() > -0.01 and cumulative.max() < 1.01
sys.exit(1 if right and bounded else 0)
PY
