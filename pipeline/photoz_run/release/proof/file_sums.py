"""The sha256 of the files of a release; imports little, so that summing up can begin at once."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from photoz_run.catalogue.on_disk import file_digest
from photoz_run.progress import Tick
from photoz_run.release.folder import SIGNATURE, SUMS
from photoz_run.release.side_by_side import in_background

READ_BY_ROWS = ".fits"
"""Files that are summed up where their rows are read, so that they are read once."""
PIECE = 1 << 24
"""Bytes summed up at once: after each piece the thread waits for its turn among busy ones."""


def present_files(folder: Path) -> list[str]:
    """Every file below ``folder`` but the list of sums, by its path in it."""
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in files if name not in (SUMS, SIGNATURE))


class FileSums:
    """The sha256 of files, summed up in the background from the beginning.

    Parameters
    ----------
    folder
        The release.
    names
        Its files, by their paths in it.
    tick
        Told the bytes read.
    """

    def __init__(self, folder: Path, names: Iterable[str], tick: Tick) -> None:
        self.names = list(names)
        self.tick = tick
        self._folder = folder
        others = [name for name in self.names if not name.endswith(READ_BY_ROWS)]
        self._others = in_background(lambda: self._digests(others))

    def rest(self, known: Mapping[str, str]) -> dict[str, str]:
        """The sha256 of all files, in which those ``known`` are taken over."""
        sums = {**self._others.result(), **known}
        return sums | self._digests(name for name in self.names if name not in sums)

    def _digests(self, names: Iterable[str]) -> dict[str, str]:
        return {name: file_digest(self._folder / name, self.tick, PIECE) for name in names}
