#!/usr/bin/env bash
# A table that astropy writes as ECSV comes back without the rows whose first text begins with #.
#
# ECSV is astropy's text format that is meant to give a table back as it was. The writer does not
# quote a text that begins with #, and the reader takes the line for a comment. Such a row is lost
# without a word, and so are those of the formats basic, tab and commented_header. Where the text is
# in another column, all rows come back (but for tab); so they do from astropy's CSV.
#
# Seen with astropy 8.0.2 on 29 November 2026: three rows are written, two are read.
# Exit status 1 if all rows come back.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 astropy==8.0.2
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
import warnings

from astropy.table import Table

rows = {}
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    for form in ("ecsv", "basic", "tab", "commented_header", "csv"):
        for names in (["NAME", "Z"], ["Z", "NAME"]):
            path = f"{sys.argv[1]}/{form}-{names[0]}"
            table = Table({"NAME": ["G1", "#2", "G3"], "Z": [0.1, 0.2, 0.3]})[names]
            table.write(path, format=f"ascii.{form}")
            rows[form, names[0]] = len(Table.read(path, format=f"ascii.{form}"))
for (form, first), number in rows.items():
    print(f"{form}, {first} first: 3 rows written, {number} read")
print(f"warnings {len(warned)}")
sys.exit(0 if rows["ecsv", "NAME"] == 2 else 1)
PY
