"""What a run measures comes out of `import photoz_run as pz` too, number for number."""

import ast
import subprocess
import sys
from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import photoz_run as pz
from photoz_run.config import BUNDLED_MODEL
from support.runs import in_process, options, tile_file
from support.tiles import Tile, make_tile

NAME = "KIDS_180.0_-0.5"
COLUMNS = ["ID", "RAJ2000", "Z_PHOT", "MASK", "Z_QUANTILES"]


@pytest.fixture(scope="module")
def tile(tmp_path_factory) -> Tile:
    return make_tile(tmp_path_factory.mktemp("facade") / "data", NAME)


@pytest.fixture(scope="module")
def run(tile):
    """A run over the tile with the shipped bundle."""
    out = tile.folder.parent / "run"
    with pytest.MonkeyPatch.context() as patch:
        more = ("--quantiles", "--keep", "CLASS_STAR")
        assert in_process(patch, options(tile.folder, BUNDLED_MODEL, out, *more)) == 0
    return out


@pytest.fixture(scope="module")
def shipped():
    return pz.load_bundle(BUNDLED_MODEL, provider="cpu", threads=1)


@pytest.fixture(scope="module")
def opened(tile, shipped):
    survey = pz.open_survey(tile.folder)
    return survey.tile("180.0_-0.5", shipped, "all", quantiles=True, keep=("CLASS_STAR",))


def test_a_tile_is_measured_as_in_a_run_byte_for_byte(opened, run):
    table, written = opened.measure(), pq.read_table(tile_file(run, NAME))
    assert table.equals(written)
    for field in table.schema:
        assert field.metadata == written.schema.field(field.name).metadata


def test_one_source_alone_has_the_redshift_of_the_run_within_the_tolerance_of_bundles(opened, run):
    rows = {row["ID"]: row for row in pq.read_table(tile_file(run, NAME)).to_pylist()}
    tolerance = opened.bundle.contract.golden.tolerance_z
    for k in (0, 7, 39):
        source = opened.take([k])
        one = pz.predict(opened.bundle, source.sources, source.stamps())
        row = rows[source.sources.id_N[0]]
        assert one.z_N[0] == pytest.approx(row["Z_PHOT"], abs=tolerance)
        np.testing.assert_allclose(one.quantiles_NQ[0], row["Z_QUANTILES"], rtol=0, atol=tolerance)
        assert one.flags_N[0] == row["PHOTOZ_FLAG"]


def test_sources_are_taken_by_row_position_and_id(opened, tile):
    n = 11
    near = opened.near(tile.ra_N[n] + 1 / 3600, tile.dec_N[n])
    assert near.sources.id_N[0] == tile.id_N[n]
    everyone = opened.near(tile.ra_N[n], tile.dec_N[n], radius=1000).sources
    x_N = (everyone.ra_N - tile.ra_N[n]) * np.cos(np.radians(tile.dec_N[n]))
    distance_N = np.hypot(x_N, everyone.dec_N - tile.dec_N[n])
    assert len(everyone) == len(tile.id_N)
    assert np.all(np.diff(distance_N) >= -1e-9)
    ids = [tile.id_N[5], "no such", tile.id_N[2]]
    assert opened.with_ids(ids).sources.id_N.tolist() == [ids[0], ids[2]]
    bright = opened.take(opened.sources.columns["MAG_AUTO_CALIB"] < 18)
    assert 0 < len(bright) < len(opened)
    assert np.all(bright.sources.columns["MAG_AUTO_CALIB"] < 18)
    assert opened.take(slice(3)).stamps().flux_NCHW.shape == (3, 4, 36, 36)
    nobody = opened.near(tile.ra_N[n], -40.0)
    assert (len(nobody), len(nobody.predict().z_N), len(nobody.stamps().flags_N)) == (0, 0, 0)


def test_what_a_selection_derives_can_be_kept_and_selects_the_same(opened, tile):
    survey, bundle = pz.open_survey(tile.folder), opened.bundle
    kept = survey.tile(NAME, bundle, "all", keep=("bright", "masked", "CLASS_STAR"))
    bright = survey.tile(NAME, bundle, "bright and not masked").sources.id_N
    columns = kept.sources.columns
    assert kept.sources.id_N[columns["bright"] & ~columns["masked"]].tolist() == bright.tolist()
    assert 0 < len(bright) < len(kept)
    assert "CLASS_STAR" in kept.take(slice(2)).measure().column_names


def test_tiles_are_known_by_position_and_by_id(tmp_path, bundle):
    first = make_tile(tmp_path / "data", NAME)
    make_tile(tmp_path / "data", "KIDS_181.0_-0.5", seed=2)
    survey = pz.open_survey(tmp_path / "data")
    assert survey.tiles_at(180.0, -0.5) == [NAME]
    assert survey.tiles_at(180.02, -0.5) == []
    assert survey.tiles_with(first.id_N[3]) == [NAME]
    assert survey.tiles_with("no such") == []
    name, distance = survey.nearest_tile(181.0, 0.5)
    assert (name, distance) == ("KIDS_181.0_-0.5", pytest.approx(1.0))
    with pytest.raises(pz.PhotozError, match=r"tile KIDS_12\.0_-0\.5 has no file"):
        survey.tile("KIDS_12.0_-0.5", pz.load_bundle(bundle))
    with pytest.raises(pz.PhotozError, match="position nan 0"):
        survey.tiles_at(np.nan, 0)


def test_the_position_in_an_id_says_where_to_look(tile):
    """Of other tiles no catalogue is read: this one's would have to be."""
    survey = pz.open_survey(tile.folder)
    tile.catalogue.rename(tile.catalogue.with_suffix(".away"))
    try:
        assert survey.tiles_with("KiDSDR4 J000136.000-312000.00") == []
        with pytest.raises(pz.PhotozError, match="file not found"):
            survey.tiles_with("KiDSDR4 J120000.000-003000.00")
    finally:
        tile.catalogue.with_suffix(".away").rename(tile.catalogue)


def test_stamps_and_sources_must_be_of_the_same_number(opened):
    with pytest.raises(pz.PhotozError, match="2 stamps of 3 sources"):
        pz.predict(opened.bundle, opened.sources.take(slice(3)), opened.take(slice(2)).stamps())


def test_a_run_is_read_as_arrow_pandas_and_astropy(run):
    rows = pz.read_arrow(run, COLUMNS)
    written = pq.read_table(tile_file(run, NAME), columns=COLUMNS)
    assert rows.schema.field("RAJ2000").metadata[b"unit"] == b"deg"
    for name in COLUMNS:
        assert rows[name].to_pylist() == written[name].to_pylist()
    frame = pz.read_pandas(run, COLUMNS)
    assert frame["MASK"].dtype == pd.Int32Dtype()
    assert frame["Z_PHOT"].dtype == np.float32
    table = pz.read_astropy(run, COLUMNS)
    assert table["RAJ2000"].unit == u.deg
    assert table["Z_PHOT"].description == "photometric redshift, point estimate"
    assert table["Z_QUANTILES"].shape == (40, 21)
    np.testing.assert_array_equal(table["Z_PHOT"], frame["Z_PHOT"])
    assert set(pz.read_arrow(run).column_names) > set(COLUMNS)


def test_what_is_missing_stays_missing(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("ID,MASK,Z\na,1,0.1\nb,,\n")
    assert pz.read_arrow(path)["MASK"].to_pylist() == [1, None]
    assert pz.read_pandas(path)["MASK"].isna().tolist() == [False, True]
    masked = pz.read_astropy(path)
    assert masked["MASK"].mask.tolist() == [False, True]
    assert masked["Z"].mask.tolist() == [False, True]
    with pytest.raises(pz.PhotozError, match="no such file"):
        pz.read_arrow(tmp_path / "none")


def test_every_name_is_there_and_known_to_type_checkers():
    """`make check` runs mypy over the stub: what it imports exists, with its types."""
    stub = ast.parse(Path(pz.__file__).with_suffix(".pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    names = {alias.asname for node in imports for alias in node.names}
    names |= {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    assert names == set(pz.__all__) < set(dir(pz))
    assert all(getattr(pz, name) is not None for name in pz.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pz.nothing  # noqa: B018


def test_the_import_alone_loads_nothing():
    code = "import sys, photoz_run; print([m for m in sys.modules if m.startswith('photoz_')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['photoz_run']"


def test_what_cannot_be_meant_is_refused_in_one_line(opened, run):
    refused = {
        "rows to take of 40": [lambda: opened.take([999]), lambda: opened.take([1.5])],
        "a slice, indices or a mask": [lambda: opened.take([[0, 1]])],
        "no place on the sky": [lambda: opened.near(np.nan, 0), lambda: opened.near(180, 0, -3)],
        "at least one folder": [pz.open_survey],
        "ask for each once": [lambda: pz.read_arrow(run, ["ID", "ID"])],
        "no PHOTOZ_FLAG": [lambda value=v: pz.decode_flags(value) for v in (1.5, -1, 1 << 40)],
    }
    for words, calls in refused.items():
        for call in calls:
            with pytest.raises(pz.PhotozError, match=words):
                call()


def test_one_id_may_be_a_text(opened):
    name = opened.sources.id_N[3]
    assert opened.with_ids(str(name)).sources.id_N.tolist() == [name]
