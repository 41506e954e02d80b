"""Uncompressed images: mapped, never loaded, and read in the pieces that the plan names."""

import mmap
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from typing_extensions import override

from photoz_run.errors import BadDataError
from photoz_run.images.image import Corners, Image
from photoz_run.images.plan import PAGE, PixelLayout, ReadingPlan, Storage, count_items, merged
from photoz_run.science.cutouts import copy_stamps, covered_pixels, empty_stamps

DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}

PIECE = 128 * 1024
"""Bytes announced at once: the kernel forgets what is beyond its own read-ahead, without a word."""

MAPPED_AT_ONCE = 64 << 20
"""Bytes of a file between the first and the last of the stamps that are cut before the mapping is
given back."""

LOOKED_AT = 8
"""Pages of a batch of which the kernel is asked whether it has them: then nothing need be
announced."""


IntOrArray = TypeVar("IntOrArray", int, NDArray[np.int64])


class MappedImage(Image):
    """An uncompressed image, mapped into memory; the mapping gives back what it has read."""

    def __init__(
        self,
        path: Path,
        header: fits.Header,
        shape_YX: tuple[int, int],
        offset: int,
        file: BinaryIO,
    ) -> None:
        super().__init__(path, header, shape_YX)
        dtype = pixel_type(header)
        self.layout = PixelLayout(offset, shape_YX, dtype.itemsize)
        size = file.seek(0, 2)
        if size < self.layout.stop:
            raise BadDataError(
                f"{path}: truncated, {size:,} bytes where its header promises"
                f" {self.layout.stop:,}; copy it again"
            )
        self._file = file
        self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        # Until it is known what is wanted the kernel guesses nothing: it would read megabytes for a
        # row.
        self._guess_nothing(True)
        pixels = np.frombuffer(self._map, dtype, shape_YX[0] * shape_YX[1], offset)
        self._array_YX = pixels.reshape(shape_YX)
        self._asked = np.zeros(shape_YX[0], bool)
        """Rows, or pages, that were asked for."""

    @override
    def plan(self, corners: Corners, size: int, storage: Storage) -> ReadingPlan:
        self.way = self.layout.plan(*corners, size, storage)
        pages = self.way.way == "pages"
        self._guess_nothing(pages)
        self._asked = np.zeros(self.layout.stop // PAGE + 1 if pages else self.shape_YX[0], bool)
        return self.way

    @override
    def announce(self, corners: Corners, size: int) -> None:
        if self.way.way == "pages":
            self._announce_pages(corners, size)
        else:
            self._announce_rows(corners[0], size)

    @override
    def stamps(self, corners: Corners, size: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        y0_N, x0_N = corners
        stored_NHW = empty_stamps(self._array_YX, len(y0_N), size)
        # What has been touched of a mapping is memory of this process until it is given back.
        touched = int(np.ptp(y0_N)) * self.layout.row_bytes if len(y0_N) else 0
        for part_N in np.array_split(np.arange(len(y0_N)), touched // MAPPED_AT_ONCE + 1):
            if len(part_N):
                part = slice(part_N[0], part_N[-1] + 1)
                copy_stamps(self._array_YX, y0_N[part], x0_N[part], stored_NHW[part])
                self._give_back()
        covered_NHW = covered_pixels(self.shape_YX, y0_N, x0_N, size)
        return self._scaling.values(stored_NHW), covered_NHW

    @override
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        if stop > start:
            first, last = self._bytes_of(start)[0], self._bytes_of(stop - 1)[1]
            self._will_need(first, last - first)
        stored = self._array_YX[start:stop]
        stored = stored.astype(stored.dtype.newbyteorder("="))
        self._give_back()
        return self._scaling.values(stored)

    @override
    def close(self) -> None:
        del self._array_YX
        # Who looks at a thread's frames, as Dask's profiler does, may hold an array a moment
        # longer. The mapping then goes with it.
        with suppress(BufferError):
            self._map.close()
        self._file.close()

    def _guess_nothing(self, nothing: bool) -> None:
        """Whether the kernel reads only what it is asked for, or ahead as well."""
        self._map.madvise(mmap.MADV_RANDOM if nothing else mmap.MADV_NORMAL)
        advice = os.POSIX_FADV_RANDOM if nothing else os.POSIX_FADV_NORMAL
        os.posix_fadvise(self._file.fileno(), 0, 0, advice)

    def _announce_pages(self, corners: Corners, size: int) -> None:
        pages = self._not_asked(self.layout.pages(*corners, size))
        ranges_R2 = merged(pages, self.way.gap // PAGE) * PAGE
        self.bytes_read += count_items(ranges_R2)
        if len(pages) and not self._at_hand(pages):
            for start, stop in ranges_R2.tolist():
                self._will_need(start, stop - start)

    def _announce_rows(self, y0_N: NDArray[np.int64], size: int) -> None:
        spans = self.layout.row_spans(y0_N, size)
        if self.way.way == "stream" and spans:
            spans = [(spans[0][0], spans[-1][1])]
        asked = [self._not_asked(np.arange(*span)) for span in spans]
        rows = np.concatenate([*asked, np.zeros(0, np.int64)])
        at_hand = len(rows) > 0 and self._at_hand(self._bytes_of(rows)[0] // PAGE)
        for start, stop in merged(rows, 0).tolist():
            first, last = self._bytes_of(start)[0], self._bytes_of(stop - 1)[1]
            self.bytes_read += last - first
            if not at_hand:
                self._will_need(first, last - first)

    def _not_asked(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those pages or rows that were not asked for before; from now on they were."""
        new = items[~self._asked[items]]
        self._asked[new] = True
        return new

    def _at_hand(self, pages: NDArray[np.int64]) -> bool:
        """Whether the kernel has these pages in memory, judged by some of them."""
        some = pages[np.linspace(0, len(pages) - 1, LOOKED_AT).astype(int)]
        buffer = bytearray(1)
        try:
            return all(
                os.preadv(self._file.fileno(), [buffer], place, os.RWF_NOWAIT) == 1
                for place in (some * PAGE).tolist()
            )
        except OSError:  # not in memory, or a file system that cannot say
            return False

    def _give_back(self) -> None:
        """What is mapped must not count as memory of the worker.

        That is more than was read: a page that is touched brings its neighbours.
        """
        self._map.madvise(mmap.MADV_DONTNEED)

    def _bytes_of(self, row: IntOrArray) -> tuple[IntOrArray, IntOrArray]:
        """First byte of the page in which a row begins, and the byte behind the row."""
        start = self.layout.offset + row * self.layout.row_bytes
        return start // PAGE * PAGE, start + self.layout.row_bytes

    def _will_need(self, first: int, length: int) -> None:
        # The same to the kernel as madvise, but other threads go on where storage lets it wait.
        for start in range(first, first + length, PIECE):
            size = min(PIECE, first + length - start)
            os.posix_fadvise(self._file.fileno(), start, size, os.POSIX_FADV_WILLNEED)


def pixel_type(header: fits.Header) -> np.dtype[Any]:
    """The type of an uncompressed image's pixels as they are stored.

    Raises
    ------
    ValueError
        If BITPIX is none of the six that FITS knows.
    """
    if header.get("BITPIX") not in DTYPES:
        raise ValueError(f"BITPIX is {header.get('BITPIX')!r}")
    return np.dtype(DTYPES[header["BITPIX"]])
