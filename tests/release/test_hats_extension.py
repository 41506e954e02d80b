"""The HATS catalogue as an extension of one that others publish."""

import shutil
from pathlib import Path

import lsdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.forgery import resum
from support.made_up_runs import MadeUpRun, strip
from support.photoz import photoz

MISSING = 7
"""Sources of the others' catalogue that the release does not have."""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> MadeUpRun:
    return strip(tmp_path_factory.mktemp("strip") / "run", tiles=2, rows=300)


@pytest.fixture(scope="module")
def published(run, tmp_path_factory) -> Path:
    """A catalogue of the same sources and some more, with an ID, a place and a flux of its own."""
    tables = [pq.read_table(path) for path in sorted(run.path.glob("tiles/*/*.parquet"))]
    columns = ["ID", "RAJ2000", "DECJ2000"]
    frame = pd.concat(table.select(columns).to_pandas() for table in tables)
    frame = frame.drop_duplicates("ID").rename(columns={"ID": "SOURCE", "RAJ2000": "RA"})
    more = pd.DataFrame({"SOURCE": [f"more {k}" for k in range(MISSING)], "RA": 10.0})
    more["DECJ2000"] = np.linspace(-0.4, 0.4, MISSING)
    frame = pd.concat([frame, more], ignore_index=True).assign(FLUX=1.0)
    # As hats-import has texts; LSDB does not join large_string with string.
    frame["SOURCE"] = frame["SOURCE"].astype(pd.ArrowDtype(pa.string()))
    path = tmp_path_factory.mktemp("published") / "kids"
    catalogue = lsdb.from_dataframe(
        frame, ra_column="RA", dec_column="DECJ2000", catalog_name="kids", partition_rows=400
    )
    catalogue.write_catalog(path)
    return path


@pytest.fixture(scope="module")
def release(run, published, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("release") / "out"
    hats = ("--formats", "parquet,hats", "--margin", 10)
    extend = ("--extend", published, "--extend-id", "SOURCE")
    assert photoz("release", run.path, "--out", out, "--name", "sim", *hats, *extend) == 0
    return out


def test_lsdb_joins_redshifts_to_the_catalogue_of_others(release, published):
    catalogue = lsdb.open_catalog(published)
    joined = catalogue.load_extension(release / "sim_hats" / "sim_photoz.properties")
    assert joined.extensions == ("sim_photoz",)
    rows = joined.compute().set_index("SOURCE")
    expected = pq.read_table(release / "sim.parquet").to_pandas().set_index("ID")
    assert len(rows) == len(expected) + MISSING
    assert {"RA", "FLUX", "Z_PHOT", "PHOTOZ_FLAG"} <= {*rows.columns}
    np.testing.assert_array_equal(
        rows.loc[expected.index, "Z_PHOT"].to_numpy(np.float32, na_value=np.nan),
        expected["Z_PHOT"].to_numpy(np.float32),
    )
    assert rows.loc[[f"more {k}" for k in range(MISSING)], "Z_PHOT"].isna().all()


@pytest.mark.parametrize("spoil", ["another primary", "removed"])
def test_verify_proves_the_file_that_names_the_catalogue(release, tmp_path, spoil, capsys):
    assert photoz("verify", release) == 0, capsys.readouterr().out
    folder = shutil.copytree(release, tmp_path / "spoiled")
    path = folder / "sim_hats" / "sim_photoz.properties"
    if spoil == "removed":
        path.unlink()
    else:
        path.write_text(path.read_text().replace("col_assn_primary=SOURCE", "col_assn_primary=RA"))
    resum(folder)
    capsys.readouterr()
    assert photoz("verify", folder) != 0
    assert "FAIL  provenance in HATS" in capsys.readouterr().out
