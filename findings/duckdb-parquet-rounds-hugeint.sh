#!/usr/bin/env bash
# DuckDB makes floats of 64-bit IDs when it writes a column to Parquet that met an unsigned one.
#
# The IDs of one survey are BIGINT and those of another UBIGINT. UNION ALL of the two, or a sum of
# IDs, has the type HUGEINT (128 bits), which holds every digit; and so has what a query prints.
# Parquet has no such integers, and COPY ... TO writes the column as DOUBLE, without an error or a
# word: IDs of SDSS and DESI lose their last digits, and neighbours become one. DECIMAL(20, 0) would
# keep them.
#
# Seen with duckdb 2.0.1 on 29 November 2026: of 9 IDs 3 are left.
# Exit status 1 if all IDs come back.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import duckdb

path = f"{sys.argv[1]}/ids.parquet"
duckdb.sql("CREATE TABLE desi AS SELECT 39627682211234560 + range AS id FROM range(8)")
duckdb.sql("CREATE TABLE other AS SELECT 7::UBIGINT AS id")
both = "SELECT id FROM desi UNION ALL SELECT id FROM other"
duckdb.sql(f"COPY ({both}) TO '{path}'")
kind = duckdb.sql(f"SELECT DISTINCT typeof(id) FROM ({both})").fetchall()[0][0]
written = duckdb.sql(f"SELECT count(DISTINCT id) FROM ({both})").fetchall()[0][0]
read, stored = duckdb.sql(
    f"SELECT count(DISTINCT id), first(typeof(id)) FROM read_parquet('{path}')"
).fetchall()[0]
print(f"the query: {kind}, {written} different IDs; its Parquet file: {stored}, {read}")
sys.exit(0 if read < written else 1)
PY
