#!/usr/bin/env bash
# One null in a Parquet column changes what astropy reads in the other rows.
#
# Table.read("x.parquet") has no masked columns. One null in a column of 64-bit integers makes floats
# of all rows, so that object IDs beyond 2^53 collapse in silence. One null text becomes the word
# "None" where the file carries astropy's own length of texts, and an error where it does not. With
# pandas in between (Table.from_df, Arrow-backed types) integers and nulls stay what they are.
#
# Seen with astropy 8.0.2, pyarrow 26.0.1, pandas 3.1.1 and narwhals 2.29.0 on 28 November 2026: three
# IDs become one float64, a null text is 'None', and without the length it is TypeError.
# Exit status 1 if the IDs stay integers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    astropy==8.0.2 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6 narwhals==2.29.0
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table

path = f"{sys.argv[1]}/sources.parquet"
FIRST = 1 << 60
ids = [FIRST + 1, FIRST + 2, FIRST + 3, None]
texts = {"CLASS": ["STAR", None, "GALAXY", "QSO"]}

pq.write_table(pa.table({"OBJECT": pa.array(ids, pa.int64())}), path)
read = Table.read(path)["OBJECT"]
distinct = len({float(value) for value in read[:3]})
through = Table.from_df(pd.read_parquet(path, dtype_backend="pyarrow"))["OBJECT"]
print(f"Table.read:    {read.dtype}, distinct IDs of 3: {distinct}")
print(f"Table.from_df: {through.dtype}, distinct IDs of 3: {len({int(v) for v in through[:3]})}")

pq.write_table(pa.table(texts).replace_schema_metadata({"table::len::CLASS": "6"}), path)
print("texts with a length:   ", [str(value) for value in Table.read(path)["CLASS"]])
pq.write_table(pa.table(texts), path)
try:
    print("texts without a length:", [str(value) for value in Table.read(path)["CLASS"]])
except TypeError as error:
    print("texts without a length: TypeError:", error)
sys.exit(0 if read.dtype.kind == "f" and distinct == 1 else 1)
PY
