#!/usr/bin/env bash
# astropy writes a masked integer column with a TNULL that also occurs as a good value.
#
# FITS marks missing integers by one value, TNULL. When a masked table is written, astropy takes a
# fixed number (63 for bytes, 16959 for 16 bits, 999999 for 32 and 64 bits), whether or not a good
# row holds it. Read back, such a row is masked, too: a good value became a missing one, without a
# word.
#
# Seen with astropy 8.0.2 on 27 November 2026: [1, 16959, --] comes back as [1, --, --].
# Exit status 1 if the good value survives.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 astropy==8.0.2
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
import warnings

import numpy as np
from astropy.table import MaskedColumn, Table

lost = []
for dtype, value in (("u1", 63), ("i2", 16959), ("i4", 999999), ("i8", 999999)):
    path = f"{sys.argv[1]}/{dtype}.fits"
    column = MaskedColumn(np.array([1, value, 0], dtype), mask=[False, False, True], name="COUNT")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        Table([column]).write(path)
        read = Table.read(path)["COUNT"]
    print(f"{dtype}: written {list(column)}, read {list(read)}, warnings {len(warned)}")
    lost.append(bool(np.ma.getmaskarray(read)[1]))
sys.exit(0 if all(lost) else 1)
PY
