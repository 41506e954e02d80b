"""Images of which only some bytes are here: files with holes, and a list of what is no hole."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from typing_extensions import override

from photoz_run.errors import BadDataError
from photoz_run.images.image import Corners, sampled_rows
from photoz_run.images.mapped import MappedImage
from photoz_run.images.plan import PAGE, PixelLayout, Storage, merged

Ranges = tuple[tuple[int, int], ...]
"""Bytes of a file that are here: first ones and those behind the last, in order."""

HEAD = 64 << 10
"""First bytes of a file in which its headers lie, whole pages."""

SUFFIX = ".held"


class HeldImage(MappedImage):
    """A mapped image that refuses what lies in a hole, where zeros would be read."""

    def __init__(
        self,
        path: Path,
        header: fits.Header,
        shape_YX: tuple[int, int],
        offset: int,
        file: BinaryIO,
    ) -> None:
        super().__init__(path, header, shape_YX, offset, file)
        self._is_here = np.zeros(self.layout.stop // PAGE + 1, bool)
        for start, stop in read_held(path) or ():
            self._is_here[-(-start // PAGE) : stop // PAGE] = True

    @override
    def stamps(self, corners: Corners, size: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        self._refuse_holes(self.layout.pages(*corners, size))
        return super().stamps(corners, size)

    @override
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        self._refuse_holes(row_pages(self.layout, range(start, stop)))
        return super().rows(start, stop)

    def _refuse_holes(self, pages: NDArray[np.int64]) -> None:
        if not self._is_here[pages].all():
            raise BadDataError(f"{self.path}: pixels are asked for that were not fetched")


def pieces(layout: PixelLayout, corners: Corners, size: int, storage: Storage) -> Ranges:
    """The ranges of a file that headers, stamps and a look at the image need.

    They are joined over what costs less to read than to leave out.
    """
    sample = row_pages(layout, sampled_rows(layout.shape_YX[0]))
    stamps = layout.pages(*corners, size)
    pages = np.unique(np.concatenate([np.arange(HEAD // PAGE), sample, stamps]))
    ranges_R2 = merged(pages, storage.gap // PAGE) * PAGE
    return tuple((start, stop) for start, stop in ranges_R2.tolist())


def row_pages(layout: PixelLayout, rows: Iterable[int]) -> NDArray[np.int64]:
    """The pages that hold rows, in order, each once."""
    starts = layout.offset + np.fromiter(rows, np.int64) * layout.row_bytes
    last = (starts + layout.row_bytes - 1) // PAGE
    steps = [
        np.minimum(starts // PAGE + step, last) for step in range(layout.row_bytes // PAGE + 2)
    ]
    return np.unique(np.concatenate(steps))


def read_held(path: Path) -> Ranges | None:
    """What is here of a file; ``None`` if all of it is."""
    try:
        text = side_file(path).read_text()
    except FileNotFoundError:
        return None
    return tuple((start, stop) for start, stop in json.loads(text))


def write_held(path: Path, ranges: Ranges) -> None:
    """Say beside a file what is here of it."""
    side_file(path).write_text(json.dumps(ranges))


def side_file(path: Path) -> Path:
    """The file that says what is here of another."""
    return path.with_name(path.name + SUFFIX)
