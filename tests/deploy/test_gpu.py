"""What `make gpu` promises where there is no GPU: each step stands for itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
