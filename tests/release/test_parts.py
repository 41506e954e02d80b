"""A catalogue of many rows is a folder of Parquet files; here few rows are many."""

import json
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_run.release import draft
from photoz_run.release.products import parquet
from support.photoz import photoz

GROUP = 7


@pytest.fixture(scope="module")
def in_parts(run, tmp_path_factory) -> Path:
    """The release in row groups of 7 rows and files of 28."""
    out = tmp_path_factory.mktemp("parts") / "release"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet.write_release_parquet, "__defaults__", (GROUP,))
        patch.setattr(draft, "PART", parquet.GROUPS * GROUP)
        more = ("--formats", "fits,parquet,hats", "--quiet")
        assert photoz("release", run, "--out", out, "--name", "sim", *more) == 0
    return out


def test_it_has_the_rows_of_the_one_file_and_proves_itself(in_parts, release):
    whole = pq.read_table(release / "sim.parquet")
    names = sorted(path.name for path in (in_parts / "sim_parquet").iterdir())
    assert names == [f"part-{k:04d}.parquet" for k in range(-(-len(whole) // 28))]
    assert len(names) > 2
    rows = pq.read_table(in_parts / "sim_parquet")
    assert rows.equals(whole.select(rows.column_names))
    assert not (in_parts / "sim.parquet").exists()
    assert photoz("verify", in_parts, "--json") == 0


def test_its_readme_reads_it(in_parts, monkeypatch):
    monkeypatch.chdir(in_parts)
    code = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL)
    assert len(code) > 1
    products = json.loads(Path("provenance.json").read_text())["products"]
    for block in code:
        space: dict[str, object] = {}
        exec(block, space)
        assert len(space["galaxies"]) == products[0]["rows"]
    assert products[0]["path"] == "sim_parquet"


def test_polars_and_duckdb_read_the_folder(in_parts):
    import duckdb
    import polars as pl

    number = len(pq.read_table(in_parts / "sim_parquet"))
    assert len(pl.read_parquet(in_parts / "sim_parquet")) == number
    rows = duckdb.sql(f"from '{in_parts / 'sim_parquet' / '*.parquet'}'").to_arrow_table()
    assert rows["ID"].to_pylist() == pq.read_table(in_parts / "sim_parquet")["ID"].to_pylist()


def test_it_is_validated_and_updated_like_one_file(in_parts, run, tmp_path):
    rows = pd.read_parquet(in_parts / "sim_parquet", dtype_backend="pyarrow")
    known = rows[rows.Z_PHOT.notna()]
    table = pa.Table.from_pandas(known[["RAJ2000", "DECJ2000", "Z_PHOT"]], preserve_index=False)
    pq.write_table(table.rename_columns(["RA", "DEC", "Z"]), tmp_path / "specz.parquet")
    more = ("--out", tmp_path / "report", "--no-plots")
    assert photoz("validate", in_parts, "--specz", tmp_path / "specz.parquet", *more) == 0
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["n"] == len(known)
    again = ("--out", tmp_path / "again", "--name", "sim", "--update", in_parts, "--quiet")
    assert photoz("release", run, *again) == 0
    update = json.loads((tmp_path / "again" / "provenance.json").read_text())["update"]
    assert [update[kind] for kind in ("added", "changed", "removed")] == [0, 0, 0]
    # The list of changes lies beside the catalogue, and is none of its rows.
    more = ("--out", tmp_path / "second", "--no-plots")
    assert photoz("validate", tmp_path / "again", "--specz", tmp_path / "specz.parquet", *more) == 0
    second = json.loads((tmp_path / "second" / "metrics.json").read_text())
    assert second["statistics"] == metrics["statistics"]
