#!/usr/bin/env bash
# flexcode's tuning is right only where redshifts run from 0 to 1.
#
# FlexCodeModel.tune chooses bump threshold and sharpening with the least CDE loss on a validation
# part. It scales the true redshifts to 0 to 1 and compares them with densities on a grid that is
# not scaled. So the same galaxies in other units (z_max 2 instead of 1) get other settings: those
# of densities at the wrong place. RAIL's FlexZBoost has a loop of its own and is right.
#
# Seen with flexcode 0.2.3 on 28 November 2026: with z_max 1 tune takes the sharpening of least CDE
# loss, 1.1; with z_max 2 the least sharpening that it is offered, 0.7.
# Exit status 1 if both are the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 scikit-learn==1.9.1 flexcode==0.2.3
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from flexcode import FlexCodeModel
from flexcode.loss_functions import cde_loss
from flexcode.regression_models import NN

dice = np.random.default_rng(1)
colour = dice.random((1200, 1))
z = 0.2 + 0.6 * colour[:, 0] + dice.normal(0, 0.05, 1200)
thresholds, sharpenings = np.linspace(0.02, 0.35, 8), np.linspace(0.7, 2.1, 8)
chosen = []
for unit in (1.0, 2.0):
    model = FlexCodeModel(
        NN, 25, "cosine", regression_params={"k": 20}, z_min=0.0, z_max=unit
    )
    model.fit(colour[:800], unit * z[:800])
    model.tune(colour[800:], unit * z[800:], thresholds, sharpenings, 301)
    chosen.append(model.sharpen_alpha)
    losses = {}
    for sharpening in sharpenings:
        model.sharpen_alpha = sharpening
        density, grid = model.predict(colour[800:], 301)
        losses[sharpening] = unit * cde_loss(density, grid, unit * z[800:])
    least = min(losses, key=losses.get)
    print(f"z_max {unit}: tune takes {chosen[-1]:.1f}, the least loss is at {least:.1f}")
sys.exit(0 if chosen[0] != chosen[1] else 1)
PY
