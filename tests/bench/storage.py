"""A full-size tile on a storage of a stated speed, so that figures depend on no machine's disk.

`storage.c` serves the tile's files through FUSE and keeps to a price of pieces and of bytes. It is
mounted where only this process and its children see it: in namespaces of their own, for which
nobody need be root.
"""

import os
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.full_size import make_seeds

SOURCE = Path(__file__).with_name("storage.c")
ALONE = ["unshare", "--user", "--map-root-user", "--mount"]
"""Starts a program that may mount, and whose mounts nobody else sees."""
START = 10.0
"""Seconds in which the storage must be there."""


@dataclass(frozen=True)
class StatedStorage:
    """A mounted storage: its files, its price, and what it has served."""

    folder: Path
    seek: float
    """Microseconds that a piece costs beside its bytes."""
    rate: float
    """MB a second."""
    counts: Path

    @property
    def served(self) -> tuple[int, int]:
        """Bytes and pieces so far."""
        bytes_served, pieces = struct.unpack("QQ", self.counts.read_bytes())
        return bytes_served, pieces


@contextmanager
def stated_storage(sources: int, seek: float, rate: float) -> Iterator[StatedStorage]:
    """A tile with so many sources on such a storage; the process must run under `ALONE`."""
    with tempfile.TemporaryDirectory(prefix="photoz-storage-") as name:
        seeds, mounted, program, counts = (
            Path(name) / part for part in ("seeds", "mounted", "storage", "counts")
        )
        make_seeds(seeds, sources)
        mounted.mkdir()
        subprocess.run(["cc", "-O2", "-o", str(program), str(SOURCE)], check=True)
        words = [program, seeds, mounted, seek, rate, counts]
        with subprocess.Popen([str(word) for word in words]) as server:
            try:
                _wait_for(mounted, server)
                yield StatedStorage(mounted, seek, rate, counts)
            finally:
                server.terminate()
                server.wait()
                subprocess.run(["umount", "--lazy", str(mounted)], check=False)


def _wait_for(mounted: Path, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START
    while not os.path.ismount(mounted):
        if server.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the storage could not be mounted; is there /dev/fuse?")
        time.sleep(0.05)
