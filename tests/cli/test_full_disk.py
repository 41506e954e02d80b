"""A full disk while a command writes: exit status 75, one line, no half-written file."""

import resource
import subprocess
from pathlib import Path

import numpy as np
import pytest

from photoz_models.kept_sets import save_examples
from photoz_models.whole_files import written_whole
from support.bundles import closed_form_bundle
from support.galaxies import toy_examples
from support.runs import COMMAND
from support.tiles import make_tile
from support.validation import gama, survey, write_fits, write_parquet

PHOTOZ = str(Path(COMMAND).with_name("photoz"))
LARGEST = 20_000
"""Bytes of the largest file that can be written."""
NOTHING = 100
"""Bytes that hold no document."""


def with_little_room(*words: object, largest: int = LARGEST) -> tuple[int, str]:
    done = subprocess.run(
        [PHOTOZ, *map(str, words)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest)),
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


@pytest.mark.parametrize("more", [[], ["--stamps"]])
def test_a_simulation_needs_room(tmp_path, more):
    out = tmp_path / "survey"
    words = ["--size", 400, "--tiles", 2, "--jobs", 2, *more]
    status, line = with_little_room("simulate", out, *words)
    assert status == 75
    assert f"{out}: cannot be written (" in line
    assert "Errno" not in line
    assert line.endswith("free space or check permissions, then start the same command again")
    assert {path.name for path in out.iterdir()} <= {".unfinished"}


def test_a_validation_needs_room(tmp_path):
    columns, z = survey()
    catalogue = write_parquet(tmp_path / "photoz.parquet", columns)
    specz = write_fits(tmp_path / "gama.fits", gama(columns, z))
    out = tmp_path / "validation"
    status, line = with_little_room("validate", catalogue, "--specz", specz, "--out", out)
    assert status == 75
    assert f"{out}: cannot be written (File too large)" in line
    left = [path for path in out.rglob("*") if path.is_file()]
    assert all(path.stat().st_size < LARGEST for path in left)
    assert not [path for path in left if path.name.startswith(".part")]


def test_a_training_needs_room(tmp_path):
    save_examples(toy_examples(1500), tmp_path / "set")
    out = tmp_path / "model.onnx"
    words = ["--set", tmp_path / "set", "--network", "magnitudes", "--epochs", 1, "--out", out]
    status, line = with_little_room("train", *words)
    assert status == 75
    assert f"{out}: cannot be written (File too large)" in line
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_the_checkpoints_of_a_training_need_room(tmp_path):
    save_examples(toy_examples(1500), tmp_path / "set")
    out, folder = tmp_path / "model.onnx", tmp_path / "checkpoints"
    words = ["--set", tmp_path / "set", "--network", "magnitudes", "--out", out]
    status, line = with_little_room("train", *words, "--checkpoints", folder)
    assert status == 75
    assert f"{folder}: cannot be written (File too large)" in line
    assert not list(folder.iterdir())


def test_a_training_set_needs_room(tmp_path):
    tile = make_tile(tmp_path / "data", products=("sci",))
    columns = {"RA": tile.ra_N, "DEC": tile.dec_N, "Z": np.linspace(0.1, 0.4, 40)}
    specz, kept = write_fits(tmp_path / "specz.fits", columns), tmp_path / "kept"
    words = ["--data", tile.folder, "--specz", specz, "--select", "all", "--keep-set", kept]
    status, line = with_little_room("train", *words)
    assert status == 75
    assert f"{kept}: cannot be written (" in line
    assert not list(kept.iterdir())


def test_a_file_is_whole_or_what_it_was(tmp_path):
    path = tmp_path / "z_N.npy"
    with written_whole(path) as beside:
        np.save(beside, np.arange(3))
    before = path.read_bytes()

    def fail() -> None:
        with written_whole(path) as beside:
            beside.write_bytes(b"half")
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        fail()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("command", "of", "into"),
    [("compare", "--set", "--json"), ("recalibrate", "--with", "--out")],
)
def test_what_is_made_of_a_bundle_needs_room(tmp_path, command, of, into):
    bundle, kept, out = (tmp_path / name for name in ("bundle.onnx", "set", "out.onnx"))
    closed_form_bundle(bundle, image_bands=())
    save_examples(toy_examples(3000), kept)
    words = ["model", command, bundle, of, kept, into, out]
    status, line = with_little_room(*words, largest=NOTHING)
    assert status == 75
    assert f"{out}: cannot be written (File too large)" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.onnx", "set"]
