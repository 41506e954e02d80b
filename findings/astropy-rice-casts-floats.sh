#!/usr/bin/env bash
# astropy compresses a float image to integers when it is asked for no quantisation.
#
# Rice compression works on integers. For a float image FITS tiles are either quantised, or (with
# level 0, "do not quantise") compressed by GZIP. astropy's CompImageHDU with RICE_1 and
# quantize_level=0 casts the floats to integers instead: fluxes below 1 become 0. There is no error
# and no warning. fitsio refuses the same wish.
#
# Seen with astropy 8.0.2 and fitsio 1.4.2 on 27 November 2026: [0.25, 1.75, 2.5] becomes [0, 1, 2].
# Exit status 1 if astropy keeps the values or refuses.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 astropy==8.0.2 fitsio==1.4.2
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
import warnings

import fitsio
import numpy as np
from astropy.io import fits

flux = np.tile(np.float32([0.25, 1.75, 2.5, 0.5]), (4, 8))
path = f"{sys.argv[1]}/rice.fits"
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    fits.CompImageHDU(flux, compression_type="RICE_1", quantize_level=0).writeto(path)
    read = fits.getdata(path)
print("written", flux[0, :4], " read", read[0, :4], read.dtype, " warnings", len(warned))
try:
    fitsio.write(f"{sys.argv[1]}/f.fits", flux, compress="rice", qlevel=0)
    print("fitsio wrote", fitsio.read(f"{sys.argv[1]}/f.fits")[0, :4])
except (ValueError, OSError, RuntimeError) as error:
    print("fitsio refuses:", str(error).splitlines()[0])
sys.exit(0 if not np.array_equal(read, flux) and not warned else 1)
PY
