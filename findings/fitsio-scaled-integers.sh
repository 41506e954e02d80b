#!/usr/bin/env bash
# fitsio reads scaled integer columns wrongly, and spoils the columns read beside them.
#
# A FITS column may hold 32-bit integers with TSCAL 1e-6 and TZERO 0.25: redshifts in small space.
# The standard (FITS 4.0, section 7.3.2) makes the value TZERO + TSCAL x stored. astropy does so.
# fitsio reads without an error and without a warning, and returns numbers that are not in the
# file: for the scaled column, and for an unscaled one when both are read in one call.
#
# Seen with fitsio 1.4.2 (its own cfitsio 4.6.0) and astropy 8.0.2 on 27 November 2026:
#   astropy  0.31 0.42 0.53   fitsio: none of the three values
# Exit status 1 if fitsio has come to read these columns as the standard says.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 fitsio==1.4.2
"$folder/venv/bin/python" - "$folder/scaled.fits" <<'PY'
import sys

import fitsio
import numpy as np
from astropy.io import fits

path = sys.argv[1]
z = np.array([0.31, 0.42, 0.53])
ra = np.array([10.0, 20.0, 30.0])
stored = np.round((z - 0.25) / 1e-6).astype(np.int32)
rows = np.rec.fromarrays([ra, stored, -ra], names="RA,Z,DEC")
fits.BinTableHDU(rows).writeto(path)
fits.setval(path, "TSCAL2", value=1e-6, ext=1)
fits.setval(path, "TZERO2", value=0.25, ext=1)
with fits.open(path) as hdus:
    header = hdus[1].header
    by_astropy = np.array(hdus[1].data["Z"])
print("TSCAL2", header["TSCAL2"], "TZERO2", header["TZERO2"], "TFORM2", header["TFORM2"])
assert np.allclose(by_astropy, z)
print("astropy Z  ", by_astropy)

with fitsio.FITS(path) as file:
    together = file[1].read(columns=["RA", "Z", "DEC"])
    alone = file[1].read(columns=["RA", "DEC"])
for name in ("RA", "Z", "DEC"):
    print("fitsio", f"{name:4}", together[name])
assert np.allclose(alone["RA"], ra), "without the scaled column the others are right"
wrong = not np.allclose(together["Z"], z)
spoilt = not (np.allclose(together["RA"], ra) and np.allclose(together["DEC"], -ra))
print("scaled column wrong:", wrong, " neighbours wrong:", spoilt)
sys.exit(0 if wrong else 1)
PY
