#!/usr/bin/env bash
# Arrow makes another number of a decimal than its digits spell: 0.3 becomes 0.30000000000000004.
#
# Databases write NUMERIC(6,1) to Parquet as decimals: quality codes such as 2.3, redshifts of four
# digits. Arrow casts them to float64 by multiplying with 0.1, and a third of those with one digit
# behind the point is not the number that 0.3 is in Python, in a CSV file, in pandas and in polars.
# So casts a comparison, too: read_table(filters=[("code", "==", 0.3)]) gives no row where there is
# one, without a word. The cast of their texts gives the right numbers.
#
# Seen with pyarrow 26.0.1 on 29 November 2026: 69 of 199 numbers differ.
# Exit status 1 if all numbers come out right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

codes = [Decimal(k) / 10 for k in range(1, 200)]
right = [float(code) for code in codes]
path = f"{sys.argv[1]}/codes.parquet"
pq.write_table(pa.table({"code": pa.array(codes, pa.decimal128(6, 1))}), path)
column = pq.read_table(path)["code"]
floats = column.cast(pa.float64()).to_pylist()
of_texts = column.cast(pa.string()).cast(pa.float64()).to_pylist()
found = sum(len(pq.read_table(path, filters=[("code", "==", one)])) for one in right)
differ = sum(a != b for a, b in zip(floats, right, strict=True))
print(f"cast of decimals: {differ} of {len(codes)} differ, 0.3 is {floats[2]!r}")
print(f"cast of their texts: {sum(a != b for a, b in zip(of_texts, right, strict=True))} differ")
print(f"rows that a filter for each of the {len(codes)} codes finds: {found}")
sys.exit(0 if differ and of_texts == right and found < len(codes) else 1)
PY
