"""Memory does not grow with the number of rows: three times as many need hardly more."""

import os
import subprocess
import sys
from pathlib import Path

from support.made_up_runs import strip

TESTS = Path(__file__).parents[1]
ROWS = 8_000
QUANTILES = 40
RETURNED = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""Lets the allocator give freed memory back at once, so that the peak is what was needed, not what was hoarded."""


def peak(tmp_path: Path, tiles: int) -> int:
    """Peak of memory (MiB) of a release of ``tiles`` tiles in a process of its own."""
    run = strip(tmp_path / f"run{tiles}", tiles, ROWS, quantiles=QUANTILES)
    command = [sys.executable, "-m", "support.release_memory", run.path, tmp_path / f"out{tiles}"]
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    environment = {**os.environ, **RETURNED, "PYTHONPATH": paths}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return int(done.stdout)


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path):
    few, many = peak(tmp_path, 15), peak(tmp_path, 45)
    more_rows = 30 * ROWS * (QUANTILES * 4 + 100) >> 20
    assert more_rows > 55
    assert many - few < more_rows / 3, (few, many)
