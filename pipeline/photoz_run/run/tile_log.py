"""The log of one tile: which step began when, on which host.

It tells of a tile that never came back.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from photoz_run.errors import OutputError


def node_name() -> str:
    """The name by which operators know this host: SLURM's name of the node, else the host's own."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def process_name() -> str:
    """Host and process, as outcomes and logs name them: ``node-7:4711``."""
    return f"{node_name()}:{os.getpid()}"


def now() -> str:
    """UTC in ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class TileLog:
    """Writes lines of time, tile, host and process, and words."""

    def __init__(self, file: TextIO, tile: str) -> None:
        self.file = file
        self._tile = tile

    def say(self, words: str) -> None:
        """Add one line; a full disk does not stop the tile here, its catalogue will say so."""
        try:
            self.file.write(f"{now()}  {self._tile}  {process_name()}  {words}\n")
        except OSError:
            return


@contextmanager
def open_log(path: Path, tile: str) -> Iterator[TileLog]:
    """The log of a tile, to be continued; it has one writer at a time, the try of the tile.

    Raises
    ------
    OutputError
        If it cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", buffering=1)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield TileLog(file, tile)
    finally:
        # A line that found no room is tried once more; how the tile ended matters more.
        with suppress(OSError):
            file.close()
