"""Memory does not grow with the number of rows: four times as many need hardly more."""

import os
import subprocess
import sys
from pathlib import Path

from support.made_up_runs import strip

TESTS = Path(__file__).parents[1]
ROWS, QUANTILES = 1_000, 40
ROW_BYTES = 4 * QUANTILES + 100


def peak(tmp_path: Path, tiles: int) -> int:
    """Most bytes held by a release of ``tiles`` tiles in a process of its own."""
    run = strip(tmp_path / f"run{tiles}", tiles, ROWS, quantiles=QUANTILES)
    command = [sys.executable, "-m", "support.release_memory", run.path, tmp_path / f"out{tiles}"]
    paths = os.pathsep.join([str(TESTS), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return int(done.stdout)


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    few, many = 10, 40
    growth = peak(tmp_path, many) - peak(tmp_path, few)
    assert growth < (many - few) * ROWS * ROW_BYTES / 10
