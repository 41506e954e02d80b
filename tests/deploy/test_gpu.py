"""What `make gpu` promises where there is no GPU: each step stands for itself."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from bench.gpu.__main__ import run_step
from bench.gpu.steps import together

ROOT = Path(__file__).parents[2]


def test_a_step_that_fails_costs_its_own_figures_alone(tmp_path):
    out = tmp_path / "gpu.json"
    places = os.pathsep.join(str(ROOT / name) for name in ("tests", "models", "pipeline"))
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu", "--out", out, "--steps", "golden,device"],
        env={**os.environ, "PYTHONPATH": places, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    figures = json.loads(out.read_text())
    assert done.returncode == 1, done.stderr
    assert "CUDA was asked for and cannot be used here" in figures["golden"]["error"]
    assert "CUDAExecutionProvider" in figures["device"]["providers"]
    assert figures["device"]["card"] == "none"
    assert "CUDA was asked for" in done.stdout


def test_a_step_that_hangs_leaves_no_process_behind(tmp_path, monkeypatch):
    """It would hold memory of the device while the next step measures."""
    program = tmp_path / "python"
    said = f"{tmp_path}/said"
    program.write_text(f"#!/bin/sh\nsleep 300 &\necho $! >{said}; mv {said} {tmp_path}/child; wait")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    child, seconds = tmp_path / "child", 0.5
    while not child.exists():  # it takes longer to start on a busy machine
        seconds *= 2
        assert run_step("readers", ["cpu", ""], seconds) == {
            "error": f"not done after {seconds:.0f} s"
        }
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(child.read_text())).wait(timeout=60)  # raises if it lives


def test_a_reader_that_fails_is_told_in_place_of_a_rate():
    assert together([1.5, 2.5]) == 4.0
    assert together(["CUDA failure 2: out of memory", "", 2.5]) == (
        "failed: CUDA failure 2: out of memory"
    )
