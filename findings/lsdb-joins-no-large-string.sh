#!/usr/bin/env bash
# LSDB does not join two catalogues whose text keys are Arrow's large_string and string.
#
# Both are texts, and both are in common files: LSDB itself and pandas 3 make large_string, hats-import
# and pyarrow's default make string. A join of such keys ends in a ValueError about metadata, because
# the merged key of an empty partition has another type than the one that was announced.
#
# Seen with lsdb 0.11.1, hats 0.11.1, pandas 3.1.1 and pyarrow 26.0.1 on 28 November 2026: 40 rows from
# string with string, an error from large_string with string.
# Exit status 1 if the second join gives the same rows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    lsdb==0.11.1 hats==0.11.1 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import dask
import lsdb
import pandas as pd
import pyarrow as pa

dask.config.set(scheduler="synchronous")
ROWS = 40


def catalogue(kind: pa.DataType, name: str):
    frame = pd.DataFrame(
        {"ID": [f"s{k}" for k in range(ROWS)], "ra": [10 + k / 9 for k in range(ROWS)], "dec": 0.0}
    )
    frame["ID"] = frame["ID"].astype(pd.ArrowDtype(kind))
    return lsdb.from_dataframe(
        frame, ra_column="ra", dec_column="dec", catalog_name=name, partition_rows=10
    )


def join(kind: pa.DataType) -> str:
    left, right = catalogue(kind, "left"), catalogue(pa.string(), "right")
    try:
        rows = left.join(right, left_on="ID", right_on="ID", suffixes=("", "_right"), how="left")
        return f"{len(rows.compute())} rows"
    except ValueError as error:
        return f"ValueError: {str(error).splitlines()[0]}"


alike, mixed = join(pa.string()), join(pa.large_string())
print("lsdb", lsdb.__version__)
print("string with string:      ", alike)
print("large_string with string:", mixed)
sys.exit(0 if alike == f"{ROWS} rows" and mixed.startswith("ValueError") else 1)
PY
