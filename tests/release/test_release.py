"""``photoz release`` on a real run: the same unique sources in every product, and their origin."""

import json
import re
import subprocess
import sys
from pathlib import Path

import lsdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import qp
from astropy.coordinates import SkyCoord
from astropy.io import fits
from hats.io.validation import is_valid_collection
from mocpy import MOC

from photoz_run.validation.catalogue import read_catalogue
from photoz_run.validation.settings import SpecSettings, ValidationSettings
from support.photoz import AGAIN, EMPTY, FIELD, OTHER, photoz


@pytest.fixture(scope="module")
def provenance(release):
    return json.loads((release / "provenance.json").read_text())


@pytest.fixture(scope="module")
def rows(release):
    return pq.read_table(release / "sim.parquet")


def test_the_folder_holds_what_the_docs_say_and_its_sums_hold(release):
    found = sorted(path.name for path in release.iterdir())
    assert found == [
        "CITATION.cff",
        "README.md",
        "SHA256SUMS",
        "prov.json",
        "provenance.json",
        "sim.fits",
        "sim.parquet",
        "sim_hats",
        "sim_moc.fits",
        "sim_pdf.hdf5",
    ]
    subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=release, check=True, capture_output=True
    )
    listed = {line.split("  ", 1)[1] for line in (release / "SHA256SUMS").read_text().splitlines()}
    files = {str(path.relative_to(release)) for path in release.rglob("*") if path.is_file()}
    assert listed == files - {"SHA256SUMS"}
    assert [path.name for path in release.parent.iterdir()] == [release.name]


def test_of_two_tiles_of_one_field_each_source_comes_from_where_it_is_measured_best(
    rows, run, provenance
):
    tiles = {
        tile: pq.read_table(next(run.glob(f"tiles/*/{tile}.parquet"))) for tile in (FIELD, AGAIN)
    }
    assert tiles[FIELD]["ID"].equals(tiles[AGAIN]["ID"])
    kept = dict(zip(rows["ID"].to_pylist(), rows["KIDS_TILE"].to_pylist(), strict=True))
    bits = {
        tile: [flag.bit_count() for flag in table["PHOTOZ_FLAG"].to_pylist()]
        for tile, table in tiles.items()
    }
    for name, field, again in zip(
        tiles[FIELD]["ID"].to_pylist(), bits[FIELD], bits[AGAIN], strict=True
    ):
        assert kept[name] == (AGAIN if again < field else FIELD)
    by_tile = {account["tile"]: account for account in provenance["tiles"]}
    assert min(by_tile[tile]["duplicates"] for tile in (FIELD, AGAIN)) > 5
    assert (
        by_tile[FIELD]["duplicates"] + by_tile[AGAIN]["duplicates"]
        == provenance["duplicates"]["sources"]
        == len(bits[FIELD])
    )


def test_every_row_of_the_survey_is_accounted_for(provenance, rows):
    by_tile = {account["tile"]: account for account in provenance["tiles"]}
    assert set(by_tile) == {FIELD, AGAIN, OTHER, EMPTY}
    assert (by_tile[EMPTY]["status"], by_tile[EMPTY]["catalogue"]) == ("NO_WORK", 0)
    assert by_tile[OTHER]["flagged"] == rows["Z_PHOT"].null_count > 0
    sums = provenance["accounting"]
    assert sums["catalogue"] == 3 * 40 == sums["excluded"] + sums["measured"] + sums["flagged"]
    assert sums["released"] == len(rows) == provenance["rows"]
    assert sums["excluded"] > 0


def test_fits_parquet_and_hats_hold_the_same_rows_in_the_same_order(release, rows):
    parts = sorted(
        (release / "sim_hats" / "sim" / "dataset").glob("Norder=*/Dir=*/Npix=*.parquet"), key=pixel
    )
    hats = pq.ParquetDataset(parts, partitioning=None).read().select(rows.column_names)
    assert hats.equals(rows.select(hats.column_names))
    table = fits.getdata(release / "sim.fits", "PHOTOZ")
    assert table["ID"].tolist() == rows["ID"].to_pylist()
    for name in ("RAJ2000", "Z_PHOT", "MAG_GAAP_r", "CLASS_STAR"):
        np.testing.assert_array_equal(table[name], rows[name].to_numpy())


def pixel(path: Path) -> float:
    """Where on the sky a partition begins."""
    order, number = (int(re.search(rf"{key}=(\d+)", str(path))[1]) for key in ("Norder", "Npix"))
    return number / 4**order


def test_lsdb_opens_the_collection_searches_a_cone_and_has_a_margin(release, rows):
    assert is_valid_collection(release / "sim_hats", strict=True)
    catalogue = lsdb.open_catalog(release / "sim_hats", columns="all")
    assert len(catalogue) == len(rows)
    assert catalogue.margin.hc_structure.catalog_info.margin_threshold == 10
    found = catalogue.cone_search(180.0, -0.5, 60.0).compute()
    near_N = (
        np.hypot(rows["RAJ2000"].to_numpy() - 180, rows["DECJ2000"].to_numpy() + 0.5) < 60 / 3600
    )
    assert sorted(found["ID"]) == sorted(rows.filter(near_N)["ID"].to_pylist())
    assert 0 < len(found) < len(rows)
    default = lsdb.open_catalog(release / "sim_hats")
    assert {"ID", "Z_PHOT", "PHOTOZ_FLAG"} <= set(default.columns)
    assert "Z_QUANTILES" not in default.columns


def test_hats_says_how_it_was_made_and_nothing_of_where(release, provenance):
    texts = [path.read_text() for path in (release / "sim_hats").rglob("*properties")]
    assert len(texts) >= 3
    for text in texts:
        assert f"photoz_model_digest={provenance['model']['digest']}" in text
        assert str(release.parent) not in text
    fields = pq.read_schema(release / "sim_hats" / "sim" / "dataset" / "_common_metadata")
    assert fields.field("RAJ2000").metadata[b"unit"] == b"deg"
    assert fields.metadata[b"photoz-run.model_digest"].decode() == provenance["model"]["digest"]


def test_the_area_is_that_of_the_coadds(release, survey, provenance):
    area = MOC.from_fits(release / "sim_moc.fits")
    headers = [
        fits.getheader(path) for path in survey.glob("*_r_sci.fits") if "_50.0_" not in path.name
    ]
    distinct = {
        (header["CRVAL1"], header["CRVAL2"]): header["NAXIS1"] * header["NAXIS2"]
        for header in headers
    }
    true = sum(distinct.values()) * (0.2 / 3600) ** 2
    # Cells that an edge crosses count in full, which matters for tiles of 40 arcsec only.
    assert true < provenance["area_deg2"] < 2.2 * true
    places = [(180.0, -0.5), (180.0, -0.52), (0.0, -31.2), (50.0, 0.5), (181.0, -0.5)]
    assert area.contains_skycoords(SkyCoord(places, unit="deg")).tolist() == [
        True,
        False,
        True,
        False,
        False,
    ]


def test_the_distributions_are_those_of_the_sources_with_a_redshift(release, rows):
    ensemble = qp.read(str(release / "sim_pdf.hdf5"))
    measured = rows.filter(rows["Z_PHOT"].is_valid())
    assert ensemble.npdf == len(measured) < len(rows)
    assert list(ensemble.ancil["ID"]) == measured["ID"].to_pylist()


def test_the_readme_says_what_one_must_know(release, provenance):
    text = (release / "README.md").read_text()
    assert "> **The model was trained on simulations.**" in text
    assert "partial" not in text.lower()
    for column in provenance["columns"]:
        assert f"| `{column['name']}` |" in text
    assert f"| released | {provenance['rows']:,} |" in text
    assert f"Measured in more than one tile: {provenance['duplicates']['sources']} sources." in text
    assert "`qp.read('sim_pdf.hdf5')`" in text
    assert provenance["duplicates"]["rule"] in text
    assert "This run was not compared with spectroscopic redshifts." in text
    assert re.search(r"\| 6 \| 64 \| `I_EPOCH_SUBSTITUTED` \| 0 \|", text)


def test_columns_of_another_table_come_along_and_the_readme_says_whence(run, release, tmp_path):
    other = pq.read_table(release / "sim.parquet", columns=["ID", "Z_PHOT"])[5:]
    pq.write_table(other, tmp_path / "annz2.parquet")
    options = (
        "--attach",
        tmp_path / "annz2.parquet",
        "--attach-columns",
        "Z_PHOT=zphot_ANNz2",
        "--name",
        "more",
    )
    assert photoz("release", run, "--out", tmp_path / "out", *options, "--quiet") == 0
    rows = pq.read_table(tmp_path / "out" / "more.parquet")
    assert rows["zphot_ANNz2"].to_pylist() == [None] * 5 + rows["Z_PHOT"].to_pylist()[5:]
    text = (tmp_path / "out" / "README.md").read_text()
    assert (
        f"`zphot_ANNz2` from `annz2.parquet`, joined by ID: {len(rows) - 5} sources have a row"
        " there, 5 have" in text
    )


def test_a_release_can_be_validated_as_its_run_can(release, rows):
    catalogue, repeats = read_catalogue(
        release, ValidationSettings(specz=(SpecSettings(file=Path("specz.fits")),))
    )
    assert catalogue.columns["ID"].tolist() == rows["ID"].to_pylist()
    assert len(catalogue.levels_Q) == rows["Z_QUANTILES"].type.list_size
    assert not len(repeats.get("ID", ()))


def test_the_release_does_not_load_dask():
    code = (
        "import sys, photoz_run.release.assemble;"
        " print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert {"dask", "distributed", "lsdb", "hats_import", "h5py", "mocpy"}.isdisjoint(loaded)
    assert "pyarrow" in loaded


def test_on_a_terminal_each_step_has_a_bar(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert photoz("release", run, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().err
    assert all(what in said for what in ("tiles checked", "rows sorted", "rows into FITS", "72/72"))


def test_the_lines_of_python_in_the_readme_work(release):
    code = re.search(r"```python\n(.*?)```", (release / "README.md").read_text(), re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line]) <= 5
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=release, capture_output=True, text=True, check=True
    )
    assert "KiDSDR5 J" in done.stdout
