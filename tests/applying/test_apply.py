"""`photoz apply`: a table of magnitudes in, a table of redshifts out, as a run would measure it."""

from pathlib import Path

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from photoz_run import flags
from photoz_run.applying import apply as applying
from photoz_run.tables.opening import open_table
from support.bundles import closed_form, closed_form_bundle
from support.photoz import measure, photoz
from support.runs import tile_file
from support.tiles import make_tile

BVR = ("U", "B", "V")
NUMBER = 700
"""Rows: two whole batches and a part."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """A bundle of nine KiDS magnitudes without stamps."""
    path = tmp_path_factory.mktemp("bundle") / "nine.onnx"
    closed_form_bundle(path, image_bands=())
    return path


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """A bundle of three bands of another survey."""
    path = tmp_path_factory.mktemp("other") / "bvr.onnx"
    closed_form_bundle(path, image_bands=(), magnitude_bands=BVR)
    return path


@pytest.fixture
def mine(tmp_path) -> Path:
    """A table with names of its own; every tenth B is missing, in one way or another."""
    dice = np.random.default_rng(3)
    columns = {f"mag_{band}": dice.uniform(18, 22, NUMBER).astype("f4") for band in BVR}
    for first, code in enumerate((99.0, -99.0, np.nan, np.inf)):
        columns["mag_B"][10 * first :: 40] = code
    for values in columns.values():
        values[5] = 99
    columns |= {"name": [f"galaxy {k}" for k in range(NUMBER)], "RA": dice.uniform(0, 1, NUMBER)}
    path = tmp_path / "mine.parquet"
    pq.write_table(pa.table(columns | {"DEC": dice.uniform(0, 1, NUMBER)}), path)
    return path


def bands(table: pa.Table) -> np.ndarray:
    return np.stack([table[f"mag_{band}"].to_numpy() for band in BVR], axis=1)


OWN = ("--bands", "U=mag_U,B=mag_B,V=mag_V", "--id", "name")


def test_redshifts_are_those_of_a_run_over_the_same_magnitudes(bundle, tmp_path):
    tile = make_tile(tmp_path / "survey", data_release="DR4.0", number=300)
    assert measure(tmp_path / "survey", bundle, tmp_path / "run", "--keep", "MAG_GAAP_g") == 0
    run = pq.read_table(tile_file(tmp_path / "run", tile.name))
    words = ["apply", bundle, tile.catalogue, "--out", tmp_path / "z.parquet", "--quiet"]
    assert photoz(*words) == 0
    applied = pq.read_table(tmp_path / "z.parquet")
    assert applied.num_rows == 300 > run.num_rows > 100
    place = {name: k for k, name in enumerate(applied["ID"].to_pylist())}
    same = applied.take([place[name] for name in run["ID"].to_pylist()])
    for name in ("RAJ2000", "Z_PHOT", "Z_PHOT_LO68", "Z_PHOT_HI95", "Z_DOMAIN", "Z_QUANTILES"):
        assert same[name].equals(run[name].cast(same[name].type)), name
    assert same["PHOTOZ_FLAG"].equals(run["PHOTOZ_FLAG"])


def test_any_bands_under_any_names_and_every_row_comes_out(other, mine, tmp_path):
    assert photoz("apply", other, mine, "--out", tmp_path / "z.parquet", *OWN) == 0
    applied, table = pq.read_table(tmp_path / "z.parquet"), pq.read_table(mine)
    assert applied["name"].equals(table["name"])
    assert applied["RA"].equals(table["RA"])
    magnitudes_NB = bands(table)
    magnitudes_NB[~(np.abs(magnitudes_NB) < 90)] = np.nan
    z_N, quantiles_NQ, distance_N = closed_form(np.zeros((NUMBER, 0, 1, 1)), magnitudes_NB)
    known_N = np.isfinite(magnitudes_NB).any(axis=1)
    assert known_N.sum() == NUMBER - 1
    np.testing.assert_allclose(applied["Z_PHOT"].to_numpy()[known_N], z_N[known_N], atol=1e-6)
    np.testing.assert_allclose(
        np.stack(applied["Z_QUANTILES"].to_numpy()[known_N]), quantiles_NQ[known_N], atol=1e-6
    )
    np.testing.assert_allclose(
        applied["Z_DOMAIN"].to_numpy()[known_N], distance_N[known_N], atol=1e-5
    )
    missing_N = np.isnan(magnitudes_NB).sum(axis=1)
    assert applied["MAG_MISSING"].to_pylist() == missing_N.tolist()
    assert applied["Z_PHOT"].is_null().to_pylist() == (~known_N).tolist()
    blind_N = (applied["PHOTOZ_FLAG"].to_numpy() & flags.bit("NO_REDSHIFT")) > 0
    assert blind_N.tolist() == (~known_N).tolist()


def test_blocks_formats_and_containers_make_no_difference(other, mine, tmp_path, monkeypatch):
    assert photoz("apply", other, mine, "--out", tmp_path / "z.parquet", *OWN) == 0
    whole = pq.read_table(tmp_path / "z.parquet")
    monkeypatch.setattr(applying, "BLOCK", 300)
    with fitsio.FITS(tmp_path / "mine.fits", "rw") as fits:
        table = pq.read_table(mine)
        fits.write({name: np.array(table[name].to_pylist()) for name in table.column_names})
    out = tmp_path / "z.fits"
    assert photoz("apply", other, tmp_path / "mine.fits", "--out", out, *OWN) == 0
    whole, parts = (
        open_table(tmp_path / name).read(whole.column_names, lists=["Z_QUANTILES"])
        for name in ("z.parquet", "z.fits")
    )
    assert parts.drop_columns(["Z_QUANTILES"]).equals(whole.drop_columns(["Z_QUANTILES"]))
    # A list without values is a list of NaN in FITS.
    quantiles = [lists or [np.nan] * 21 for lists in whole["Z_QUANTILES"].to_pylist()]
    np.testing.assert_array_equal(np.stack(parts["Z_QUANTILES"].to_numpy()), quantiles)
    header = fitsio.read_header(out, "PHOTOZ")
    assert (header["PZMODEL"], header["PZSIMUL"], header["TABLE"]) == (
        "closed-form",
        True,
        "mine.fits",
    )
    metadata = pq.read_schema(tmp_path / "z.parquet").metadata
    told = {key.decode(): text.decode() for key, text in metadata.items()}
    assert told["photoz-run.columns"] == "U=mag_U, B=mag_B, V=mag_V"
    assert told["photoz-run.model_digest"] == header["PZMODSHA"]


def test_a_set_flag_and_epochs_of_i_are_read_as_in_a_run(tmp_path):
    bundle, table, out = (tmp_path / name for name in ("b.onnx", "t.parquet", "z.parquet"))
    closed_form_bundle(bundle, image_bands=(), magnitude_bands=("u", "g", "i"), i_epoch="mean")
    columns = {f"MAG_GAAP_{suffix}": [20.0] * 3 for suffix in ("u", "g", "i1", "i2")}
    columns["MAG_GAAP_i2"] = [21.0, 99.0, 21.0]
    flags_i = {"FLAG_GAAP_i1": [0, 0, 1], "FLAG_GAAP_g": [0, 0, 0]}
    pq.write_table(pa.table({"ID": [1, 2, 3], **columns, **flags_i}), table)
    assert photoz("apply", bundle, table, "--out", out, "--keep", "MAG_GAAP_u") == 0
    mean = -2.5 * np.log10((10**-8.0 + 10**-8.4) / 2)
    expected_N = 0.1 + 0.1 * (20 - np.array([mean, 20, 21]))
    applied = pq.read_table(out)
    np.testing.assert_allclose(applied["Z_PHOT"].to_numpy(), expected_N, atol=1e-6)
    assert applied["ID"].to_pylist() == [1, 2, 3]
    assert applied["MAG_GAAP_u"].to_pylist() == [20.0] * 3


REFUSALS = {
    "b.onnx mine.parquet --out z.parquet": "closed-form reads stamps in u g r i, and a table has",
    "bvr.onnx mine.parquet --out z.csv": "--out ends in .parquet or .fits",
    "bvr.onnx mine.parquet --out mine.parquet": "it is there already; delete it, or choose",
    "bvr.onnx mine.parquet --out no/z.fits": "there is no folder",
    "bvr.onnx mine.parquet --out z.fits": "no column of magnitudes is known for U, B, V; name them",
    "bvr.onnx mine.parquet --out z.fits --bands U=mag_U,B=mag_b,V=mag_V": "did you mean mag_B",
    "bvr.onnx mine.parquet --out z.fits --bands R=mag_V": "--bands names R; the network reads U, B",
    "bvr.onnx mine.parquet --out z.fits --bands U=RA,B=mag_B,V=mag_V": "RA holds no magnitudes",
    "bvr.onnx mine.parquet --out z.fits --bands U=name,B=mag_B,V=mag_V": "column name holds text",
    "bvr.onnx mine.parquet --out z.fits --bands U,U": "name each band once",
    "bvr.onnx t.parquet --out z.fits --bands U=mag_U,B=mag_B,V=mag_V --keep Z_PHOT": "so called",
    "bvr.onnx bare.parquet --out z.fits --bands U=mag_U,B=mag_B,V=mag_V": "no column ID; name it",
    "bvr.onnx empty.parquet --out z.fits --bands U=mag_U,B=mag_B,V=mag_V": "it has no rows",
    "bvr.onnx none.parquet --out z.fits": "none.parquet",
    "bvr.onnx fk4.parquet --out z.fits --bands U=mag_U,B=mag_B,V=mag_V": "RA is FK4 by its meta",
    "hybrid-sym mine.parquet --out z.fits": "no shipped model of this name (shipped: hybrid-sim)",
}


@pytest.mark.parametrize("words", REFUSALS)
def test_what_cannot_be_known_is_refused_in_one_line(
    words, other, mine, tmp_path, monkeypatch, capsys
):
    closed_form_bundle(tmp_path / "b.onnx")
    (tmp_path / "bvr.onnx").write_bytes(other.read_bytes())
    table = pq.read_table(mine)
    pq.write_table(table.append_column("Z_PHOT", table["RA"]), tmp_path / "t.parquet")
    pq.write_table(table.drop_columns(["RA", "DEC"]), tmp_path / "bare.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "empty.parquet")
    said = {"table_meta_yaml": "meta: {RADESYS: FK4}"}
    pq.write_table(table.replace_schema_metadata(said), tmp_path / "fk4.parquet")
    before = set(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    assert photoz("apply", *words.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert REFUSALS[words] in line
    assert set(tmp_path.iterdir()) == before


def test_a_file_of_a_folder_whose_types_do_not_fit_the_first_is_said(other, mine, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    rows = pq.read_table(mine)
    for name, values in (("a", pa.array(range(NUMBER))), ("b", rows["name"])):
        pq.write_table(rows.append_column("N", values), tmp_path / "folder" / f"{name}.parquet")
    out = tmp_path / "z.parquet"
    assert photoz("apply", other, tmp_path / "folder", "--out", out, *OWN, "--keep", "N") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "column N holds large_string" in line
    assert "int64, as in its first file, is expected" in line
    assert not out.exists()


def test_memory_does_not_grow_with_the_row_groups_of_a_table(tmp_path):
    """Read ahead, Arrow keeps the bytes of each row group until the last one was read."""
    path, size = tmp_path / "t.parquet", 200_000
    dice = np.random.default_rng(0)
    with pq.ParquetWriter(path, pa.schema({"x": pa.float64()})) as writer:
        for _ in range(12):
            writer.write_table(pa.table({"x": dice.random(size)}), row_group_size=size)
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() for _ in open_table(path).batches(["x"], rows=size)]
    assert len(held) == 12
    assert max(held) - before < 5 * 8 * size
