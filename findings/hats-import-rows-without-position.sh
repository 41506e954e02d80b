#!/usr/bin/env bash
# hats-import puts rows without a right ascension into sky cells where no search finds them.
#
# A source whose right ascension is missing (null) belongs to no HEALPix cell. hats-import neither
# refuses nor drops nor counts such rows: they end in the partition of some cell, with a _healpix_29
# that looks like a place. The strict validation of hats passes. A search on the sky finds none of
# them, and a count of the catalogue has them all. (A missing declination is an error.)
#
# Seen with hats-import 0.11.1 and hats 0.11.1 on 27 November 2026. Exit status 1 if the rows are
# refused or dropped. (A download of some hundred MB.)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check hats==0.11.1 hats-import==0.11.1
cat >"$folder/import.py" <<'PY'
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from dask.distributed import Client
from hats.io.validation import is_valid_catalog
from hats_import.catalog.arguments import ImportArguments
from hats_import.pipeline import pipeline_with_client


def main(folder):
    ra = np.linspace(150, 150.5, 100)
    dec = np.linspace(2, 2.5, 100)
    missing = {3: (None, 2.0), 40: (None, 2.2), 77: (None, 2.4)}
    ra_list, dec_list = ra.tolist(), dec.tolist()
    for row, (ra_row, dec_row) in missing.items():
        ra_list[row], dec_list[row] = ra_row, dec_row
    table = pa.table({"id": np.arange(100), "ra": ra_list, "dec": dec_list})
    pq.write_table(table, folder / "in.parquet")
    arguments = ImportArguments(
        output_artifact_name="cat",
        output_path=folder / "out",
        input_file_list=[folder / "in.parquet"],
        file_reader="parquet",
        ra_column="ra",
        dec_column="dec",
        progress_bar=False,
        simple_progress_bar=False,
        tmp_dir=folder / "tmp",
    )
    with Client(n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        pipeline_with_client(arguments, client)
    catalogue = folder / "out" / "cat"
    parts = sorted((catalogue / "dataset").rglob("Npix=*.parquet"))
    lost = 0
    for part in parts:
        rows = pq.read_table(part)
        nowhere = [row for row in rows.to_pylist() if row["ra"] is None or row["dec"] is None]
        lost += len(nowhere)
        for row in nowhere:
            print(part.parent.name, part.name, row)
    valid = is_valid_catalog(catalogue, strict=True, verbose=False)
    print(f"rows without a right ascension: {lost} of {len(missing)} kept; strict validation: {valid}")
    return 0 if lost == len(missing) and valid else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
PY
"$folder/venv/bin/python" -W ignore "$folder/import.py" "$folder"
