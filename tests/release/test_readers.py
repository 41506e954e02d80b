"""What is null in a release is null for whoever reads it: types by products by readers.

A table with a column of every type is attached to a run; its release is read by each program, and
compared with what was attached.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.photoz import photoz
from support.programs import needs

BIG = 2**60
"""Integers from here on are not whole as floats."""
TYPES: dict[str, tuple[pa.DataType, Callable[[int], Any]]] = {
    "INT64": (pa.int64(), lambda k: BIG + k),
    "INT32": (pa.int32(), lambda k: -k),
    "INT16": (pa.int16(), lambda k: k),
    "INT8": (pa.int8(), lambda k: k - 60),
    "UINT8": (pa.uint8(), lambda k: 255 - k),
    "UINT16": (pa.uint16(), lambda k: 2**16 - 1 - k),
    "UINT32": (pa.uint32(), lambda k: 2**32 - 1 - k),
    "FLOAT32": (pa.float32(), lambda k: k / 4),
    "FLOAT64": (pa.float64(), lambda k: 1 / (k + 1)),
    "TEXT": (pa.string(), lambda k: "STAR" if k % 2 else "GALAXY"),
    "CATEGORY": (pa.dictionary(pa.int32(), pa.string()), lambda k: f"class {k % 3}"),
    "LOGICAL": (pa.bool_(), lambda k: k % 2 == 0),
}
NATIVE = {"MASK", "Z_PHOT"}
"""Columns of the dictionary that may be null; two sources have no redshift."""


@pytest.fixture(scope="module")
def attached(run, tmp_path_factory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """A release with a column of every type, and its values by ID; every third one is null."""
    folder = tmp_path_factory.mktemp("attached")
    tiles = sorted(run.glob("tiles/*/*.parquet"))
    names = sorted({name for path in tiles for name in pq.read_table(path)["ID"].to_pylist()})
    columns: dict[str, pa.Array] = {"ID": pa.array(names)}
    for column, (kind, value) in TYPES.items():
        values = [None if k % 3 == 0 else value(k) for k in range(len(names))]
        columns[column] = pa.array(values, kind)
    table = pa.table(columns)
    pq.write_table(table, folder / "other.parquet")
    more = ("--formats", "fits,parquet,hats", "--quiet", "--attach", folder / "other.parquet")
    assert photoz("release", run, "--out", folder / "release", "--name", "sim", *more) == 0
    rows = {row["ID"]: row for row in table.to_pylist()}
    for row in rows.values():
        # Beside a null, long integers are no longer whole for every reader: they become texts.
        row["INT64"] = None if row["INT64"] is None else str(row["INT64"])
        row["LOGICAL"] = None if row["LOGICAL"] is None else int(row["LOGICAL"])
    for row in pq.read_table(folder / "release/sim.parquet", columns=["ID", *NATIVE]).to_pylist():
        rows[row["ID"]].update(row)
    return folder / "release", rows


def by_pandas(folder: Path) -> list[dict[str, Any]]:
    """As README.md says."""
    import pandas as pd

    frame = pd.read_parquet(folder / "sim.parquet", dtype_backend="pyarrow")
    return pa.Table.from_pandas(frame).to_pylist()


def by_polars(folder: Path) -> list[dict[str, Any]]:
    import polars as pl

    return pl.read_parquet(folder / "sim.parquet").to_dicts()


def by_duckdb(folder: Path) -> list[dict[str, Any]]:
    import duckdb

    return duckdb.sql(f"from '{folder / 'sim.parquet'}'").to_arrow_table().to_pylist()


def by_duckdb_from_hats(folder: Path) -> list[dict[str, Any]]:
    """As README.md says."""
    import duckdb

    assert "`sim_hats/sim/dataset/**/*.parquet`" in (folder / "README.md").read_text()
    pattern = folder / "sim_hats/sim/dataset/**/*.parquet"
    return duckdb.sql(f"from '{pattern}'").to_arrow_table().to_pylist()


def by_lsdb(folder: Path) -> list[dict[str, Any]]:
    import lsdb

    catalogue = lsdb.open_catalog(folder / "sim_hats", columns="all")
    frame = catalogue.compute()
    return pa.Table.from_pandas(frame, preserve_index=False).to_pylist()


def by_astropy_from_parquet(folder: Path) -> list[dict[str, Any]]:
    """As README.md says."""
    from astropy.table import Table

    return masked_rows(Table.from_df(pq.read_table(folder / "sim.parquet")))


def by_astropy_from_fits(folder: Path) -> list[dict[str, Any]]:
    from astropy.table import Table

    return masked_rows(Table.read(folder / "sim.fits", hdu="PHOTOZ"))


def by_fitsio(folder: Path) -> list[dict[str, Any]]:
    """fitsio leaves it to the reader to look at TNULL, as README.md says."""
    import fitsio

    rows, header = fitsio.read(folder / "sim.fits", ext="PHOTOZ", header=True)
    nulls = {header[f"TTYPE{k}"]: header.get(f"TNULL{k}") for k in range(1, header["TFIELDS"] + 1)}
    read = []
    for record in rows:
        row = {}
        for name in ("ID", *TYPES, *NATIVE):
            value = record[name]
            kind = rows.dtype[name].kind
            lacks = value == nulls[name] if kind == "i" else value != value or value in (b"", "")
            row[name] = None if lacks else as_python(value)
        read.append(row)
    return read


def by_stilts(folder: Path) -> list[dict[str, Any]]:
    needs("stilts")
    columns = ["ID", *TYPES, *NATIVE]
    steps = [f"cmd=keepcols '{' '.join(columns)}'"]
    for name in columns:
        steps.append(f'cmd=replacecol {name} \'NULL_{name} ? "<null>" : "" + {name}\'')
    command = ["stilts", "tpipe", f"in={folder / 'sim.fits'}#1", "ofmt=csv", "out=-", *steps]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    names = lines[0].split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
    return [{name: from_text(name, text) for name, text in row.items()} for row in rows]


def from_text(name: str, text: str) -> Any:
    if text in ("<null>", "NaN"):
        return None
    if name in ("FLOAT32", "FLOAT64", "Z_PHOT"):
        return float(text)
    return int(text) if name in {*TYPES, *NATIVE} - {"TEXT", "CATEGORY", "INT64"} else text.strip()


def masked_rows(table: Any) -> list[dict[str, Any]]:
    names = [name for name in table.colnames if table[name].ndim == 1]
    rows = []
    for record in table[names]:
        values = {name: record[name] for name in names}
        rows.append(
            {
                name: None if np.ma.is_masked(value) else as_python(value)
                for name, value in values.items()
            }
        )
    return rows


def as_python(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    value = value.decode() if isinstance(value, bytes) else value
    return value.strip() if isinstance(value, str) else value


READERS = {
    "pandas, Parquet": by_pandas,
    "polars, Parquet": by_polars,
    "DuckDB, Parquet": by_duckdb,
    "DuckDB, HATS": by_duckdb_from_hats,
    "LSDB, HATS": by_lsdb,
    "astropy, Parquet": by_astropy_from_parquet,
    "astropy, FITS": by_astropy_from_fits,
    "fitsio, FITS": by_fitsio,
    "stilts, FITS": by_stilts,
}


@pytest.mark.parametrize("reader", READERS)
def test_every_null_is_null_and_every_value_itself(attached, reader):
    folder, expected = attached
    rows = READERS[reader](folder)
    assert len(rows) == json.loads((folder / "provenance.json").read_text())["rows"]
    for name in (*TYPES, *NATIVE):
        kind = TYPES[name][0] if name in TYPES else pa.float32()
        tolerance = 1e-6 if kind in (pa.float32(), pa.float64()) else 0
        for row in rows:
            here, there = row[name], expected[row["ID"].strip()][name]
            lacks = here is None or here != here
            assert lacks == (there is None), (name, row["ID"], here, there)
            if not lacks:
                assert here == (pytest.approx(there, rel=tolerance) if tolerance else there), name


def test_every_type_is_there_and_the_release_proves_itself(attached):
    folder, _ = attached
    assert photoz("verify", folder, "--json") == 0
    fields = pq.read_schema(folder / "sim.parquet")
    assert set(TYPES) < set(fields.names)
    assert pa.types.is_integer(fields.field("LOGICAL").type)


def test_astropy_opens_the_parquet_files_with_their_votable_whatever_is_null(attached):
    from astropy.table import Table

    folder, expected = attached
    table = Table.read(folder / "sim.parquet", format="parquet.votable")
    number = sum(row["INT16"] is None for row in expected.values())
    assert np.isnan(np.asarray(table["INT16"])).sum() == number
    assert np.isnan(np.asarray(table["LOGICAL"])).sum() == number


def test_a_value_that_means_null_in_fits_is_refused(run, tmp_path, capsys):
    names = pq.read_table(next(run.glob("tiles/*/*.parquet")), columns=["ID"])["ID"]
    values = pa.array([-(2**15)] * len(names), pa.int16())
    pq.write_table(pa.table({"ID": names, "SHORT": values}), tmp_path / "other.parquet")
    more = ("--quiet", "--attach", tmp_path / "other.parquet")
    assert photoz("release", run, "--out", tmp_path / "release", *more) == 2
    told = capsys.readouterr().err
    assert "column SHORT: -32768 is one of its values, and means null in FITS" in told
    assert not (tmp_path / "release").exists()


def test_a_validation_without_out_leaves_the_release_as_it_is(release, survey, tmp_path):
    copy = Path(shutil.copytree(release, tmp_path / "mine"))
    rows = pq.read_table(copy / "sim.parquet").select(["RAJ2000", "DECJ2000", "Z_PHOT"])
    rows = rows.filter(rows["Z_PHOT"].is_valid()).rename_columns(["RA", "DEC", "Z"])
    pq.write_table(rows, tmp_path / "specz.parquet")
    assert photoz("validate", copy, "--specz", tmp_path / "specz.parquet", "--no-plots") == 0
    assert (tmp_path / "mine-validation" / "metrics.json").is_file()
    assert photoz("verify", copy, "--json") == 0
