"""A file system that answers late: many questions are asked at once."""

import os
import subprocess
import sys

from support import many_tiles
from support.slow_storage import slow_storage

TILES = 100
FILES = 16
DELAY = 0.005
"""Seconds that each question takes, as the source says."""
SCRIPT = """
import os, sys, time
from pathlib import Path
from photoz_models.session import PhotozModel
from photoz_run.config import load_config
from photoz_run.run.manifest import make_manifest
from photoz_run.run.plan import find_run_tiles
data, bundle = map(Path, sys.argv[1:])
settings = {"tiles": ["all"], "data": [data], "out": data / "out", "model": str(bundle)}
config = load_config(None, settings)
model = PhotozModel.load(bundle, "cpu")
start = time.monotonic()
os.stat(next(data.glob("KiDS_*")))
one = time.monotonic() - start
start = time.monotonic()
tiles = find_run_tiles(config)
manifest = make_manifest(config, tiles, model)
print(one, time.monotonic() - start, sum(map(len, manifest.inputs.values())))
"""


def test_the_inputs_of_a_run_are_looked_at_many_at_once(bundle, tmp_path):
    many_tiles.stub_tiles(tmp_path / "data", TILES)
    library = slow_storage(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path / "data", bundle],
        env=os.environ | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    one, seconds, number = map(float, done.stdout.split())
    assert one >= DELAY
    assert number == TILES * FILES
    assert seconds < number * DELAY / 2
