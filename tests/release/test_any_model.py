"""Whatever the model reads and the run holds, its release proves itself."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from support.bundles import closed_form_bundle
from support.photoz import FIELD, measure, photoz
from support.tiles import Tile, make_tile


@pytest.fixture(scope="module")
def magnitudes_only(tmp_path_factory) -> Path:
    """A bundle that reads no images, trained on a table of made-up galaxies."""
    folder = tmp_path_factory.mktemp("magnitudes")
    rng = np.random.default_rng(4)
    z = 0.05 + 0.4 * rng.random(1000)
    slopes = zip((6, 4, 1), "ugi", strict=True)
    columns = {band: 19.5 + k * z + 0.3 * rng.standard_normal(1000) for k, band in slopes}
    pq.write_table(pa.table({**columns, "Z": z}), folder / "t.parquet")
    network = ("--bands", "u,g,i", "--z", "Z", "--network", "magnitudes", "--epochs", "1")
    out = ("--out", folder / "m.onnx")
    assert photoz("train", "--table", folder / "t.parquet", *network, *out) == 0
    return folder / "m.onnx"


@pytest.fixture(scope="module")
def tile(tmp_path_factory) -> Tile:
    return make_tile(tmp_path_factory.mktemp("tile"), FIELD, seed=7)


def lose_masks(tile: Tile) -> None:
    """Say in the header of the catalogue that a value of MASK means null; some rows have it."""
    with fits.open(tile.catalogue, mode="update") as hdus:
        rows = next(hdu for hdu in hdus if "MASK" in getattr(hdu, "columns", _None).names)
        number = rows.columns.names.index("MASK") + 1
        rows.data["MASK"][::3] = -(2**31)
        rows.header[f"TNULL{number}"] = -(2**31)


class _None:
    names = ()


def released(folder: Path, tile: Tile, bundle: Path, capsys) -> Path:
    assert measure(tile.folder, bundle, folder / "run") == 0
    assert photoz("release", folder / "run", "--out", folder / "out", "--name", "sim") == 0
    assert photoz("verify", folder / "out") == 0, capsys.readouterr().out
    return folder / "out"


def test_a_model_without_images_has_no_area_and_says_so(tile, magnitudes_only, tmp_path, capsys):
    out = released(tmp_path, tile, magnitudes_only, capsys)
    told = capsys.readouterr().out
    assert "sources in 1 tile, the area not known (no coadds were read)" in told
    assert not list(out.glob("*moc*"))
    assert json.loads((out / "provenance.json").read_text())["area_deg2"] is None
    assert "the area not known (no coadds were read)" in (out / "README.md").read_text()


def test_a_run_of_one_tile_with_null_masks(bundle, tmp_path, capsys):
    tile = make_tile(tmp_path, FIELD, seed=7)
    lose_masks(tile)
    out = released(tmp_path, tile, bundle, capsys)
    rows = pq.read_table(out / "sim.parquet")
    assert rows["MASK"].null_count > 5
    assert rows["Z_PHOT"].null_count == 0


def test_a_model_of_few_bands(tile, tmp_path, capsys):
    bundle = tmp_path / "few.onnx"
    closed_form_bundle(bundle, image_bands=("r", "i"), magnitude_bands=("u", "g", "r"))
    out = released(tmp_path, tile, bundle, capsys)
    assert photoz("verify", out, "--run", tmp_path / "run") == 0, capsys.readouterr().out
    assert json.loads((out / "provenance.json").read_text())["area_deg2"] > 0
