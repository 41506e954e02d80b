"""Files that are whole under their names: written beside, synced, renamed."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name to write to in the block; if that ends well, the file gets the name ``path``.

    If not, nothing stays of it, and of an older file of the name everything.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    # The suffix stays the last: libraries go by it.
    beside = path.with_name(f".part-{os.getpid()}-{threading.get_ident()}-{path.name}")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        with suppress(OSError):
            beside.unlink()
