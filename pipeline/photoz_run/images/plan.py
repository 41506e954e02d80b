"""How much of a file is read, and in which pieces: by the places of the stamps and the storage.

A stamp of 36 rows touches 36 pages of 4,096 bytes in a coadd of 1.5 GB. For some hundred sources
these pages are all that need be read; for many thousands they are nearly the whole file, which is
read faster in order. In between a piece is worth asking for on its own if it saves more bytes than
storage streams in the time that one more piece costs.
"""

import mmap
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Way = Literal["pages", "rows", "stream", "strips"]
"""Pages, rows or strips that hold stamps; ``stream`` is all in order."""

Reading = Literal["auto", "pages", "rows", "stream"]
"""What the configuration may say."""

PAGE = mmap.PAGESIZE

MOST_READ = 1.3
"""Times the pages that hold stamps. To read more saves hardly any time, and storage is shared."""


@dataclass(frozen=True)
class Storage:
    """What storage is like: seconds that one more piece costs, and bytes a second of one stream."""

    seek: float = 10e-6
    stream: float = 1e9
    reading: Reading = "auto"
    """``auto``, or the way that is taken whatever the costs."""

    @property
    def gap(self) -> int:
        """Bytes that are read through rather than left out."""
        return int(self.seek * self.stream)


@dataclass(frozen=True)
class ReadingPlan:
    """How a file is read: way, bytes, pieces, and the gap that is read through (bytes)."""

    way: Way
    bytes: int = 0
    pieces: int = 0
    gap: int = 0

    def seconds(self, storage: Storage) -> float:
        """What this costs on a storage."""
        return self.pieces * storage.seek + self.bytes / storage.stream


PLAIN_WAY = ReadingPlan("rows")
"""What an image does that has not been planned."""


@dataclass(frozen=True)
class PixelLayout:
    """Where the pixels of an uncompressed image lie in its file."""

    offset: int
    shape_YX: tuple[int, int]
    itemsize: int

    @property
    def row_bytes(self) -> int:
        """Bytes from one row to the next."""
        return self.shape_YX[1] * self.itemsize

    @property
    def stop(self) -> int:
        """First byte behind the image."""
        return self.offset + self.shape_YX[0] * self.row_bytes

    def pages(
        self, y0_N: NDArray[np.int64], x0_N: NDArray[np.int64], size: int
    ) -> NDArray[np.int64]:
        """The pages of the file that hold pixels of stamps, in order, each once."""
        height, width = self.shape_YX
        left_N, right_N = np.clip(x0_N, 0, width), np.clip(x0_N + size, 0, width)
        row_NH = y0_N[:, None] + np.arange(size)
        on_image_NH = (row_NH >= 0) & (row_NH < height) & (right_N > left_N)[:, None]
        start_NH = self.offset + row_NH * self.row_bytes + (left_N * self.itemsize)[:, None]
        last_NH = start_NH + ((right_N - left_N) * self.itemsize - 1)[:, None]
        start, last = start_NH[on_image_NH], last_NH[on_image_NH]
        touched = np.zeros(self.stop // PAGE + 1, bool)
        for step in range(size * self.itemsize // PAGE + 2):
            touched[np.minimum(start + step * PAGE, last) // PAGE] = True
        return np.flatnonzero(touched)

    def row_spans(self, y0_N: NDArray[np.int64], size: int) -> list[tuple[int, int]]:
        """Row ranges that hold stamps, overlapping ones joined, clipped to the image."""
        if len(y0_N) == 0:
            return []
        sorted_N = np.sort(y0_N)
        starts_N = np.clip(sorted_N, 0, self.shape_YX[0] - 1)
        stops_N = np.clip(sorted_N + size, 1, self.shape_YX[0])
        breaks = np.flatnonzero(starts_N[1:] > stops_N[:-1]) + 1
        firsts = np.concatenate([[0], breaks])
        lasts = np.concatenate([breaks - 1, [len(sorted_N) - 1]])
        return list(zip(starts_N[firsts].tolist(), stops_N[lasts].tolist(), strict=True))

    def plan(
        self, y0_N: NDArray[np.int64], x0_N: NDArray[np.int64], size: int, storage: Storage
    ) -> ReadingPlan:
        """The cheapest way to read stamps; deterministic, and without a look at the file."""
        spans = self.row_spans(y0_N, size)
        if not spans:
            return ReadingPlan("rows")
        rows = sum(stop - start for start, stop in spans)
        ways = {
            "rows": ReadingPlan("rows", rows * self.row_bytes, len(spans)),
            "stream": ReadingPlan("stream", (spans[-1][1] - spans[0][0]) * self.row_bytes, 1),
        }
        # Counting pages takes time; with many sources it is plain that they do not pay.
        fewest = ReadingPlan("pages", 0, len(y0_N) * size // 2)
        best = min(plan.seconds(storage) for plan in ways.values())
        if storage.reading == "pages" or fewest.seconds(storage) < best:
            ways["pages"] = _by_pages(self.pages(y0_N, x0_N, size), storage.gap // PAGE)
        if storage.reading != "auto":
            return ways[storage.reading]
        return min(ways.values(), key=lambda plan: plan.seconds(storage))


def _by_pages(pages: NDArray[np.int64], gap: int) -> ReadingPlan:
    """Pages, read through at most ``gap`` others between two, and through few in all."""
    while True:
        ranges_R2 = merged(pages, gap)
        read = count_items(ranges_R2)
        if read <= MOST_READ * len(pages):
            return ReadingPlan("pages", read * PAGE, len(ranges_R2), gap * PAGE)
        gap //= 2


def merged(items: NDArray[np.int64], gap: int) -> NDArray[np.int64]:
    """Ranges of sorted numbers of pages or rows [R, 2], stop exclusive.

    They are joined over at most ``gap`` missing ones.
    """
    if len(items) == 0:
        return np.zeros((0, 2), np.int64)
    last = np.flatnonzero(np.diff(items) > gap + 1)
    starts = items[np.concatenate([[0], last + 1])]
    stops = items[np.concatenate([last, [len(items) - 1]])] + 1
    return np.column_stack([starts, stops])


def count_items(ranges_R2: NDArray[np.int64]) -> int:
    """How many pages or rows lie in ranges."""
    return int((ranges_R2[:, 1] - ranges_R2[:, 0]).sum())
