"""Disturbs every process that is started from here as soon as it opens a coadd of a chosen tile.

The real program runs, in workers, in their children, in jobs; only the opening of the file is deadly, as a bug in a
library of readers would be, or it lasts as long as the test wants.
"""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SITE = {"PYTHONPATH": os.pathsep.join([str(HERE / "site"), *os.environ.get("PYTHONPATH", "").split()])}


def on(monkeypatch: pytest.MonkeyPatch, tile: str, how: str) -> None:
    """Opening a coadd of ``tile`` ends the process: ``abort`` as a crash does, ``kill`` as the kernel out of memory."""
    for name, value in variables(tile, how).items():
        monkeypatch.setenv(name, value)


def variables(tile: str, how: str) -> dict[str, str]:
    """The environment of such a process; ``how`` may also be ``eat``: to take memory until somebody ends it."""
    return SITE | {"TEST_CRASH_TILE": tile.removeprefix("KIDS"), "TEST_CRASH_HOW": how}


class Hold:
    """Holds tiles at the opening of their coadds until they are let go; what others do meanwhile is no race."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.variables = SITE | {"TEST_HOLD_FOLDER": str(folder)}

    def hold(self, *tiles: str) -> None:
        for tile in tiles:
            (self._folder / tile.removeprefix("KIDS")).touch()

    def let_go(self, *tiles: str) -> None:
        for tile in tiles:
            (self._folder / tile.removeprefix("KIDS")).unlink()
