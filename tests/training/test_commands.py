"""`photoz train` and `photoz model` as they are called."""

import json

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from photoz_models.documents import read_document
from photoz_models.errors import BundleError, TrainingError
from photoz_models.kept_sets import load_examples, save_examples
from photoz_models.session import PhotozModel
from photoz_run.cli.extras import need
from photoz_run.cli.model import app as model_app
from photoz_run.cli.train import train
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.training.comparison import Comparison
from photoz_run.training.labelled import from_table
from photoz_run.validation.settings import SpecSettings
from support.bundles import closed_form_bundle
from support.galaxies import toy_examples
from support.tiles import make_tile

train_app = typer.Typer()
train_app.command()(train)


def call(app: typer.Typer, *words: object) -> str:
    return (
        CliRunner()
        .invoke(app, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)
        .stdout
    )


def test_a_table_of_magnitudes_becomes_a_bundle(tmp_path):
    examples = toy_examples(1500)
    columns = {
        "mag_b": examples.magnitudes_NB[:, 1],
        "mag_v": examples.magnitudes_NB[:, 2],
        "zspec": examples.z_N,
    }
    with fitsio.FITS(tmp_path / "table.fits", "rw") as fits:
        fits.write(columns)
    words = ["--table", tmp_path / "table.fits", "--bands", "B=mag_b,V=mag_v", "--z", "zspec"]
    words += ["--epochs", 1, "--out", tmp_path / "bv.onnx", "--loss-plot", tmp_path / "l.png"]
    said = call(train_app, *words, "--licence", "CC-BY-4.0")
    contract = PhotozModel.load(tmp_path / "bv.onnx", provider="cpu", threads=1).contract
    assert contract.magnitude_bands == ("B", "V")
    assert contract.licence == "CC-BY-4.0"
    assert "smad" in said
    assert (tmp_path / "l.png").exists()
    follows = f"next: photoz apply {tmp_path / 'bv.onnx'} TABLE --out FILE.parquet"
    assert said.splitlines()[-1] == f"{follows} --bands B=mag_b,V=mag_v"
    with pytest.raises(ConfigError, match=r"bv\.onnx: it is there already; delete it, or choose"):
        call(train_app, *words)
    with pytest.raises(ConfigError, match="network hybrid reads stamps, and the set has none"):
        call(train_app, *words, "--network", "hybrid", "--out", tmp_path / "h.onnx")


def test_tiles_and_specz_become_a_kept_set_and_too_few_pairs_are_refused(tmp_path):
    tile = make_tile(tmp_path / "survey", data_release="DR4.0", number=60)
    with fitsio.FITS(tmp_path / "gama.fits", "rw") as fits:
        quality = np.where(np.arange(60) < 50, 4, 2).astype("i4")
        fits.write(
            {"RA": tile.ra_N, "DEC": tile.dec_N, "Z": np.linspace(0.1, 0.4, 60), "NQ": quality}
        )
    words = ["--data", tmp_path / "survey", "--specz", tmp_path / "gama.fits", "--select", "all"]
    with pytest.raises(TrainingError, match=r"has 50 galaxies; at least 1000 are needed"):
        call(train_app, *words, "--keep-set", tmp_path / "set", "--out", tmp_path / "x.onnx")
    kept = load_examples(tmp_path / "set")
    assert len(kept) == 50
    assert not kept.facts.simulated
    with fitsio.FITS(tmp_path / "gama.fits", "rw", clobber=True) as fits:
        fits.write(
            {"RA": tile.ra_N + 5, "DEC": tile.dec_N, "Z": np.linspace(0.1, 0.4, 60), "NQ": quality}
        )
    with pytest.raises(BadDataError, match="no selected source has a spec-z"):
        call(train_app, *words, "--out", tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_one_source_of_galaxies_is_wanted(tmp_path):
    with pytest.raises(ConfigError, match="give one source of galaxies"):
        call(train_app, "--out", tmp_path / "x.onnx")
    with pytest.raises(TrainingError, match=r"no complete training set here: set\.json is missing"):
        call(train_app, "--set", tmp_path, "--out", tmp_path / "x.onnx")


def test_a_set_can_be_kept_without_training_and_a_table_can_be_called_simulated(tmp_path):
    examples = toy_examples(1500)
    with fitsio.FITS(tmp_path / "table.fits", "rw") as fits:
        fits.write(
            {
                "g": examples.magnitudes_NB[:, 1],
                "r": examples.magnitudes_NB[:, 2],
                "z": examples.z_N,
            }
        )
    words = ["--table", tmp_path / "table.fits", "--bands", "g,r", "--z", "z"]
    with pytest.raises(ConfigError, match="nothing to make: give --out"):
        call(train_app, *words)
    said = call(train_app, *words, "--keep-set", tmp_path / "set", "--simulated")
    assert f"next: photoz train --set {tmp_path / 'set'} --out NAME.onnx" in said
    with pytest.raises(ConfigError, match=r"set: a set is there already; train on it, --set "):
        call(train_app, *words, "--keep-set", tmp_path / "set")
    with pytest.raises(ConfigError, match="--simulated is for --table"):
        call(train_app, "--set", tmp_path / "set", "--simulated", "--out", tmp_path / "x.onnx")
    assert load_examples(tmp_path / "set").facts.simulated
    call(train_app, *words, "--keep-set", tmp_path / "observed")
    assert not load_examples(tmp_path / "observed").facts.simulated


def test_what_is_not_installed_is_named_with_its_extra():
    need("numpy", extra="train")
    with pytest.raises(
        ConfigError, match="needs no_such_module: install photoz-run with the extra 'train'"
    ):
        need("numpy", "no_such_module", extra="train")


def test_show_prints_the_contract_and_verify_the_differences(tmp_path):
    contract = closed_form_bundle(tmp_path / "b.onnx")
    shown = call(model_app, "show", tmp_path / "b.onnx")
    assert "SIMULATED" in shown
    assert "36 pixels of 0.2 arcsec from ceil(x - size/2)" in shown
    assert (
        json.loads(call(model_app, "show", tmp_path / "b.onnx", "--json"))["name"] == contract.name
    )
    assert "golden values come back on cpu" in call(
        model_app, "verify", tmp_path / "b.onnx", "--provider", "cpu"
    )
    (tmp_path / "b.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"b\.onnx: not a usable ONNX model"):
        call(model_app, "verify", tmp_path / "b.onnx")


def test_compare_prints_the_table_and_writes_it(tmp_path):
    save_examples(toy_examples(1500), tmp_path / "set")
    words = ["--set", tmp_path / "set", "--network", "magnitudes4", "--epochs", 1]
    call(train_app, *words, "--out", tmp_path / "four.onnx")
    compared = [tmp_path / "four.onnx", "--set", tmp_path / "set"]
    printed = call(model_app, "compare", *compared, "--json", tmp_path / "t.json")
    comparison = read_document(Comparison, tmp_path / "t.json")
    assert [row.name for row in comparison.rows] == ["four"]
    assert comparison.training_digest == load_examples(tmp_path / "set").digest()
    assert f"bias {comparison.rows[0].figures['bias']:>12.5f} ± ".split() == printed.split()[1:4]
    assert max(map(len, printed.splitlines())) <= 80


def test_a_specification_that_does_not_fit_is_named(tmp_path):
    (tmp_path / "spec.toml").write_text('name = "x"')
    words = ["wrap", tmp_path / "x.onnx", "--spec", tmp_path / "spec.toml", "--out", tmp_path / "y"]
    with pytest.raises(BundleError, match=r"spec\.toml: .*Field required"):
        call(model_app, *words)
    (tmp_path / "spec.toml").write_text("name =")
    with pytest.raises(BundleError, match=r"spec\.toml: Invalid value"):
        call(model_app, *words)


def test_codes_for_no_magnitude_are_no_magnitudes(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"r": [20.0, 99.0, -99.0, -999.0], "Z": [0.1, 0.2, 0.3, 0.4]}), path)
    examples = from_table(SpecSettings(file=path, z="Z"), {"r": "r"}, False, print)
    assert np.isnan(examples.magnitudes_NB[:, 0]).tolist() == [False, True, True, True]
