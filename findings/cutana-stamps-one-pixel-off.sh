#!/usr/bin/env bash
# Cutana's even stamps lie one pixel lower than astropy's, and at an edge the source moves in them.
#
# Of a stamp with an even number of pixels no pixel is the centre, so two tools can differ by one.
# astropy's Cutout2D starts at ceil(x - size/2), Cutana 0.4.0 one pixel lower in both axes. Near an
# edge Cutout2D (mode "partial") leaves the source at its place and fills what is missing; Cutana
# puts what there is into the middle of the stamp. A network trained on stamps of one tool gets
# other pictures from the other, without an error.
#
# Seen with cutana 0.4.0 and astropy 8.0.2 on 27 November 2026: a star at x = 50.2 lies in column 17
# of astropy's stamp and in 18 of Cutana's; one at x = 2.2 in column 17 and in column 10.
# Exit status 1 if both have the star in the same column, in the field and at the edge.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cutana==0.4.0 astropy==8.0.2
"$folder/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys

import numpy as np
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from cutana.cutout_extraction import extract_cutouts_vectorized_from_extension

header = fits.Header(
    {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 180.0, "CRVAL2": 0.0,
        "CRPIX1": 50.5, "CRPIX2": 50.5, "CD1_1": -0.2 / 3600, "CD2_2": 0.2 / 3600,
    }
)
wcs = WCS(header)
size, same = 36, []
for place, x, y in (("field", 50.2, 60.3), ("edge", 2.2, 60.3)):
    image = np.zeros((100, 100), np.float32)
    star = int(round(y)), int(round(x))
    image[star] = 1
    ra, dec = wcs.all_pix2world([x], [y], 0)
    by_astropy = Cutout2D(image, (x, y), size, mode="partial", fill_value=0).data
    stamps, *_ = extract_cutouts_vectorized_from_extension(
        fits.ImageHDU(image, header), wcs, ra, dec, np.array([size])
    )
    by_cutana = np.asarray(stamps[0])
    places = [np.argwhere(stamp == 1)[0].tolist() for stamp in (by_astropy, by_cutana)]
    print(f"{place}: row, column of the star: astropy {places[0]}, cutana {places[1]}, {by_cutana.shape}")
    same.append(places[0] == places[1])
sys.exit(1 if all(same) else 0)
PY
