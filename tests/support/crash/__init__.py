"""Makes every process that is started from here crash as soon as it opens a coadd of one tile.

The real program runs, in workers and in their children; only the opening of the file is deadly, as a bug in a library
of readers would be.
"""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def on(monkeypatch: pytest.MonkeyPatch, tile: str, how: str) -> None:
    """Opening a coadd of ``tile`` ends the process: ``abort`` as a crash does, ``kill`` as the kernel out of memory."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE / "site"), *os.environ.get("PYTHONPATH", "").split()]))
    monkeypatch.setenv("TEST_CRASH_TILE", tile.removeprefix("KIDS"))
    monkeypatch.setenv("TEST_CRASH_HOW", how)
