#!/usr/bin/env bash
# The area of a polygon in mocpy is a fifth too large at the default depth.
#
# MOC.from_polygon_skycoord takes every cell that touches the polygon, and its default max_depth is
# 10 (cells of 3.4 arcmin). A field of one square degree at the equator then covers 1.19: a survey's
# area, and every density made with it, is wrong by as much unless the depth is chosen.
#
# Seen with mocpy 0.21.0 on 27 November 2026. Exit status 1 if the default is right to 5%.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 mocpy==0.21.0
"$folder/venv/bin/python" - <<'PY'
import math
import sys

from astropy.coordinates import SkyCoord
from mocpy import MOC

corners = SkyCoord([179.5, 180.5, 180.5, 179.5], [-0.5, -0.5, 0.5, 0.5], unit="deg")
sky = 4 * math.pi * math.degrees(1) ** 2
default = MOC.from_polygon_skycoord(corners).sky_fraction * sky
deep = MOC.from_polygon_skycoord(corners, max_depth=14).sky_fraction * sky
print(f"one square degree at the equator: default {default:.3f}, max_depth=14 {deep:.3f}")
sys.exit(0 if default > 1.05 else 1)
PY
