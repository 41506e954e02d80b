"""The log of one tile: what was begun and when, on which host; it tells of a tile that never came back."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from photoz_run.errors import OutputError


def node_name() -> str:
    """The name by which operators know this host: SLURM's name of the node, else the host's own."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def now() -> str:
    """UTC in ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class TileLog:
    """Appends lines of time, tile, host and process, words; has one writer at a time, the try of the tile."""

    def __init__(self, path: Path, tile: str) -> None:
        self._path = path
        self._tile = tile
        self._who = f"{node_name()}:{os.getpid()}"

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", buffering=1)
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror})") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def say(self, words: str) -> None:
        """Add one line; a full disk does not stop the tile here, its catalogue will say so."""
        try:
            self._file.write(f"{now()}  {self._tile}  {self._who}  {words}\n")
        except OSError:
            return
