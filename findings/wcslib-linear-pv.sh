#!/usr/bin/env bash
# Linear PV cards, even those that say "no distortion", move a TAN image by a quarter of the sky.
#
# SCAMP and SWarp write distortions as PV1_0, PV1_1, PV1_2 ... beside CTYPE RA---TAN. wcslib takes
# a header for their convention (TPV) only if a term of index 5 or more is there. Cards of indices
# 0 to 2 alone, with the values of the identity, are read as the standard's own parameters of the
# native pole (PVi_1, PVi_2: longitude and latitude of the fiducial point). No error, no warning.
#
# Seen with astropy 8.0.2 (wcslib 8.6) on 27 November 2026: CRPIX maps 90 degrees off CRVAL.
# Exit status 1 if the position comes within an arcsecond of CRVAL.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 astropy==8.0.2
"$folder/venv/bin/python" -W error::UserWarning - <<'PY'
import sys

import astropy.units as u
from astropy.coordinates import SkyCoord
from astropy.io.fits import Header
from astropy.wcs import WCS


def header(further):
    cards = {
        "NAXIS": 2, "NAXIS1": 100, "NAXIS2": 100,
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg",
        "CRVAL1": 180.0, "CRVAL2": -0.5, "CRPIX1": 50.0, "CRPIX2": 50.0,
        "CD1_1": -0.2 / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.2 / 3600,
    }
    return Header(list((cards | further).items()))


def centre(further):
    return WCS(header(further)).pixel_to_world(49.0, 49.0)


expected = SkyCoord(180.0, -0.5, unit="deg")
identity = {"PV1_0": 0.0, "PV1_1": 1.0, "PV1_2": 0.0, "PV2_0": 0.0, "PV2_1": 1.0, "PV2_2": 0.0}
plain = centre({}).separation(expected)
linear = centre(identity).separation(expected)
higher = centre(identity | {"PV1_5": 0.0, "PV2_5": 0.0}).separation(expected)
print(f"no PV cards:                    {plain.to(u.arcsec):.3f}")
print(f"identity, terms 0 to 2:         {linear.to(u.deg):.3f}")
print(f"the same and a term 5 of zero:  {higher.to(u.arcsec):.3f}")
assert plain < 1 * u.arcsec and higher < 1 * u.arcsec
sys.exit(0 if linear > 1 * u.deg else 1)
PY
