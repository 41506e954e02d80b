"""Watching a window for tiles from afar."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def watched(window: Path) -> Iterator[list[tuple[int, int]]]:
    """Watch a window: tiles with files, and bytes, again and again; never more than there were."""
    seen: list[tuple[int, int]] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            sizes = {path: _size(path) for path in _files(window)}
            # Looking takes a while: those that are left were all here at its end. Files only grow.
            left = {path: size for path, size in sizes.items() if path.exists()}
            seen.append((len({path.parent for path in left}), sum(left.values())))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _files(window: Path) -> list[Path]:
    """The files of tiles; a tile that goes in this moment has none."""
    files = []
    for folder in window.glob("*/KIDS_*"):
        with suppress(FileNotFoundError):
            files += [path for path in folder.iterdir() if ".fits" in path.name]
    return files


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
