"""The installed commands, in a folder whose modules have names that every folder may have."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.runs import COMMAND, contents
from support.tiles import make_tile

PHOTOZ = str(Path(COMMAND).with_name("photoz"))
MODULE = [sys.executable, "-m", "photoz_run"]
GENERIC = (
    "pipeline.py",
    "models/__init__.py",
    "config.py",
    "records.py",
    "tile.py",
    "errors.py",
    "run.py",
)
HEAVY = ("numpy", "dask", "distributed", "pyarrow", "astropy", "torch", "onnxruntime", "matplotlib")
VERSION = re.compile(r"photoz-run \d+\.\d+\.\d+, commit ([0-9a-f]{12}\+?|unknown)\n")


@pytest.fixture(params=["without PYTHONPATH", "with PYTHONPATH"])
def here(request, tmp_path):
    """Run a command in a folder of modules that end any program that imports one of them."""
    folder = tmp_path / "notebooks"
    for name in GENERIC:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"raise SystemExit('{name} of the folder was imported')\n")
    environment = dict(os.environ)
    if request.param == "with PYTHONPATH":
        sources = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = f"{folder}:{sources}".rstrip(":")

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
        )

    return run


def test_a_run_with_workers(here, bundle, tmp_path):
    for name in ("KIDS_180.0_-0.5", "KIDS_181.0_-0.5"):
        make_tile(tmp_path / "data", name)
    words = (
        f"--tiles all --data {tmp_path / 'data'} --out {tmp_path / 'out'} --select all --workers 2"
    )
    done = here(COMMAND, *words.split(), "--provider", "cpu", "--model", str(bundle))
    assert done.returncode == 0, done.stderr
    assert "2 tiles (2 DONE)" in done.stdout
    assert len(contents(tmp_path / "out")) == 2


@pytest.mark.parametrize(
    "program", [[PHOTOZ], MODULE, [COMMAND]], ids=["photoz", "module", "photoz-run"]
)
@pytest.mark.parametrize("word", ["-h", "--help", "--version"])
def test_help_and_version(here, program, word):
    done = here(*program, word)
    assert (done.returncode, done.stderr) == (0, "")
    if word == "--version":
        assert VERSION.fullmatch(done.stdout)
    else:
        assert "Usage: photoz" in done.stdout


@pytest.mark.parametrize(
    "program", [[PHOTOZ], MODULE, [COMMAND]], ids=["photoz", "module", "photoz-run"]
)
def test_a_bare_command_prints_its_help_and_ends_as_wrong_usage(here, program):
    done = here(*program)
    assert done.returncode == 2
    assert "Usage: photoz" in done.stdout + done.stderr


def test_the_module_is_photoz():
    texts = [
        subprocess.run([*program, "--help"], capture_output=True, text=True, check=True).stdout
        for program in ([PHOTOZ], MODULE)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("program", ["photoz-run", "photoz"])
def test_help_imports_nothing_that_takes_long(program):
    code = (
        "import sys; from photoz_run import cli;"
        f" sys.argv = ['{program}', '--help'];"
        f" entry = cli.photoz_run if {program == 'photoz-run'} else cli.main\n"
        "try: entry()\nexcept SystemExit: pass\n"
        f"print('heavy:', *(name for name in {HEAVY} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"
