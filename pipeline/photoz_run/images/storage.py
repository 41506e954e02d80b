"""What the storage below a folder is like: the price of a further piece, and of a byte."""

import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from photoz_run.images.plan import PAGE, Storage

STAMPS, ROWS, ROW_BYTES = 110, 36, 74_000
"""Pages are read as those of a hundred stamps lie: one in each of 36 rows of a coadd."""

STREAMED = 256 * 1024 * 1024
"""Bytes read in order, and the size of a file that is written where there is none to read."""

STEP = 128 * 1024


def measure_storage(folder: Path) -> Storage:
    """Read some pages here and there, and some in order, from a large file below ``folder``.

    Where no file is large enough one is written and removed again. What this machine has of the
    file in memory is dropped first; a server's memory cannot be.

    Raises
    ------
    OSError
        If the folder cannot be read, or has no large file and cannot be written.
    """
    with _large_file(folder) as file:
        size = os.fstat(file.fileno()).st_size // PAGE * PAGE
        with mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ) as memory:
            memory.madvise(mmap.MADV_RANDOM)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            starts = np.random.default_rng().integers(0, size - ROWS * ROW_BYTES, STAMPS)
            places = starts[:, None] + np.arange(ROWS) * ROW_BYTES
            pages = np.unique(places // PAGE)
            seek = _seconds(file, memory, [(int(page) * PAGE, PAGE) for page in pages])
            length = min(size, STREAMED)
            steps = [(at, min(STEP, length - at)) for at in range(0, length, STEP)]
            seconds = _seconds(file, memory, steps)
    stream = length / seconds
    # A piece costs what it takes beyond its bytes.
    return Storage(max(1e-7, seek / len(pages) - PAGE / stream), stream)


def _seconds(file: BinaryIO, memory: mmap.mmap, ranges: list[tuple[int, int]]) -> float:
    """Seconds to have these ranges in memory, all of them announced first."""
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    start = time.perf_counter()
    for at, length in ranges:
        memory.madvise(mmap.MADV_WILLNEED, at, length)
    view = np.frombuffer(memory, np.uint8)
    for at, length in ranges:
        view[at : at + length : PAGE].sum()
    seconds = time.perf_counter() - start
    del view
    memory.madvise(mmap.MADV_DONTNEED)
    return seconds


@contextmanager
def _large_file(folder: Path) -> Iterator[BinaryIO]:
    """An opened file of at least `STREAMED` bytes: the largest there is, or one made for this."""
    if not folder.is_dir():
        raise NotADirectoryError(20, "no such folder", str(folder))
    files = (path for path in folder.rglob("*.fits*") if path.is_file())
    largest = max(files, key=lambda path: path.stat().st_size, default=None)
    if largest is not None and largest.stat().st_size >= STREAMED:
        with largest.open("rb") as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(dir=folder, prefix="photoz-storage-") as made:
        block = np.random.default_rng(1).bytes(STEP)
        for _ in range(STREAMED // STEP):
            made.write(block)
        made.flush()
        os.fsync(made.fileno())
        with Path(made.name).open("rb") as file:
            yield file
