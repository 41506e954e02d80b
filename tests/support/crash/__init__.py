"""Disturbs processes that are started from here as soon as they open certain files.

The real program runs, in workers, in their children, in jobs; only the opening of a file is deadly,
as a bug in a library of readers would be, or fails, as on a host without the right mounts, or lasts
as long as the test wants.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SITE = {
    "PYTHONPATH": os.pathsep.join([str(HERE / "site"), *os.environ.get("PYTHONPATH", "").split()])
}


def arm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every process started from now on obey `crashes`."""
    monkeypatch.setenv("PYTHONPATH", SITE["PYTHONPATH"])


def crashes(how: Mapping[str, str]) -> dict[str, str]:
    """The environment in which opening a file that fits a pattern has consequences.

    ``abort`` ends the process as a crash does, ``kill`` as the kernel out of memory, ``eat`` takes
    memory until it is ended; ``term`` crashes a worker, and the child that tries again is told to
    end. ``missing`` and ``stumble`` raise ENOENT and EIO, ``poor`` raises EMFILE.
    ``hang`` takes an hour, ``slow`` part of a second.
    """
    return {"TEST_CRASHES": " ".join(f"{pattern}={what}" for pattern, what in how.items())}


def coadds(tile: str) -> str:
    """The pattern of a tile's coadds."""
    return f"*{tile.removeprefix('KIDS')}_*_sci.fits*"


def variables(tile: str, how: str) -> dict[str, str]:
    """The environment in which opening a coadd of ``tile`` has consequences."""
    return SITE | crashes({coadds(tile): how})


def on(monkeypatch: pytest.MonkeyPatch, tile: str, how: str) -> None:
    """Opening a coadd of ``tile`` has consequences in every process that is started from here."""
    for name, value in variables(tile, how).items():
        monkeypatch.setenv(name, value)


class Hold:
    """Holds tiles at the opening of their coadds until they are let go; what others do meanwhile is
    no race.
    """

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
