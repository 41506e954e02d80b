#!/usr/bin/env bash
# astropy takes TNULL of an unsigned column for the number that is read, FITS for the stored one.
#
# FITS has no unsigned integers of 16, 32 or 64 bits: they are stored less 2^15, 2^31 or 2^63, which
# TZERO tells. TNULL is a stored number (FITS standard 4.0, section 7.3.2), so that of a table with
# TNULL1 = 5 the stored 5, which stands for 32773, is missing. astropy compares TNULL with the
# number after TZERO is added, when it reads and when it writes. A good 5 becomes missing and the
# missing row reads 32773; what astropy masks is a good number to every reader that follows the
# standard (stilts 3.4.7 gives 16959).
#
# Seen with astropy 8.0.2 on 29 November 2026, without a warning.
# Exit status 1 if astropy follows the standard, reading or writing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 astropy==8.0.2
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
import warnings

import numpy as np
from astropy.io import fits
from astropy.table import MaskedColumn, Table

HALF = 2**15
path = f"{sys.argv[1]}/t.fits"
stored = np.array([5, 5 - HALF, 7 - HALF], np.int16)
table = fits.BinTableHDU.from_columns([fits.Column("N", "I", null=5, array=stored)])
table.header["TZERO1"] = HALF
table.writeto(path)
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    read = Table.read(path)["N"]
    print(f"stored {stored.tolist()}, TNULL 5, TZERO 32768; by the standard [--, 5, 7]")
    print(f"astropy reads {list(read)}, warnings {len(warned)}")

    masked = MaskedColumn(np.array([1, 2], np.uint16), mask=[False, True], name="N")
    Table([masked]).write(path, overwrite=True)
header = fits.getheader(path, 1)
raw = np.frombuffer(open(path, "rb").read()[2880 * 2 : 2880 * 2 + 4], ">i2")
null, zero = header["TNULL1"], header["TZERO1"]
by_standard = ["--" if n == null else int(n) + zero for n in raw]
print(f"astropy writes [1, --] as {raw.tolist()}, TNULL {null}, TZERO {zero}")
print(f"by the standard that is {by_standard}, warnings {len(warned)}")
wrong_read = np.ma.getmaskarray(read).tolist() == [False, True, False]
sys.exit(0 if wrong_read and "--" not in by_standard else 1)
PY
