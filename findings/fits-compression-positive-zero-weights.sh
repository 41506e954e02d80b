#!/usr/bin/env bash
# Compressed with the defaults, a weight map's zeros come back as small positive numbers.
#
# cfitsio (fpack, fitsio) quantises float images at q = 4 and dithers with SUBTRACTIVE_DITHER_1.
# Exact zeros are dithered like all other values: about half of the zeros that share a row with
# data come back positive, so that "weight > 0" no longer finds the bad pixels.
# SUBTRACTIVE_DITHER_2 exists for this and keeps zeros; it is not the default.
#
# Seen with fitsio 1.4.2 (cfitsio 4.6.0) on 27 November 2026: 40-60% of the zeros are positive by
# default, none with SUBTRACTIVE_DITHER_2.
# Exit status 1 if the default keeps zeros.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 fitsio==1.4.2
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import fitsio
import numpy as np

rng = np.random.default_rng(1)
weight = rng.normal(100, 5, (400, 400)).astype(np.float32)
weight[:, 150:200] = 0
bad = weight == 0


def positive_share(name, **settings):
    path = f"{sys.argv[1]}/{name}.fits"
    fitsio.write(path, weight, compress="rice", **settings)
    return float(np.mean(fitsio.read(path)[bad] > 0))


default = positive_share("default")
kept = positive_share("dither2", qmethod="SUBTRACTIVE_DITHER_2")
print(f"zeros that come back positive: default {default:.1%}, SUBTRACTIVE_DITHER_2 {kept:.1%}")
assert kept == 0
sys.exit(0 if default > 0.2 else 1)
PY
