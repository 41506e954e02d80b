#!/usr/bin/env bash
# tables_io writes a table to HDF5 without its text columns, and goes on.
#
# tables_io is the door of RAIL's files. A Parquet table with a text column (the ID of a source) is
# read, and written to HDF5 with a printed line and without that column: no exception, and the
# function returns as if all had been written. What is left has no ID to join by.
#
# Seen with tables-io 1.1.3 and h5py 3.16.0 on 27 November 2026.
# Exit status 1 if the column is written, or the writing is refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 pyarrow==26.0.1 pandas==2.3.3 h5py==3.16.0 tables-io==1.1.3
"$folder/venv/bin/python" -W ignore - "$folder" <<'PY'
import sys

import h5py
import pyarrow as pa
import pyarrow.parquet as pq
import tables_io

folder = sys.argv[1]
pq.write_table(pa.table({"id": ["KiDS J1", "KiDS J2"], "z": [0.1, 0.2]}), f"{folder}/in.parquet")
table = tables_io.read(f"{folder}/in.parquet")
written = tables_io.write(table, f"{folder}/out", "hdf5")
print("returned:", str(written).removeprefix(folder))
with h5py.File(f"{folder}/out.hdf5") as file:
    columns = []
    file.visititems(lambda name, node: columns.append(name) if isinstance(node, h5py.Dataset) else None)
print("columns in the file:", columns)
sys.exit(0 if not any(name.endswith("id") for name in columns) else 1)
PY
