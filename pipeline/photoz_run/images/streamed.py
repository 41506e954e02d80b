"""Gzipped images: read once in order; unpacked to scratch only if asked for out of order."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from typing_extensions import override

from photoz_run.errors import BadDataError, HostError
from photoz_run.images.image import STRIP_ROWS, Corners, StripImage
from photoz_run.images.mapped import MappedImage, pixel_type
from photoz_run.images.plan import ReadingPlan, Storage
from photoz_run.reading import BLOCK, explained

PIECE = 1 << 22


class StreamedImage(StripImage):
    """An image behind a decompressor.

    ``begin`` opens its stream anew, in which its pixels begin at ``offset``.
    """

    def __init__(
        self,
        path: Path,
        header: fits.Header,
        shape_YX: tuple[int, int],
        offset: int,
        begin: Callable[[Path], BinaryIO],
        scratch: Path | None,
    ) -> None:
        super().__init__(path, header, shape_YX, STRIP_ROWS)
        self._dtype = pixel_type(header)
        self._offset = offset
        self._begin = begin
        self._scratch = scratch
        self._stream: BinaryIO | None = None
        self._next = 0
        """The strip that the stream gives next."""
        self._copy: MappedImage | None = None
        self._extremes = np.inf, -np.inf

    @override
    def plan(self, corners: Corners, size: int, storage: Storage) -> ReadingPlan:
        self.way = ReadingPlan("stream", self.path.stat().st_size, 1)
        return self.way

    @override
    def stamps(self, corners: Corners, size: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        first = max(0, int(corners[0].min(initial=self.shape_YX[0]))) // self.strip_rows
        if self._copy is None and first < self._next and first not in self._kept:
            self._unpack()
        if self._copy is not None:
            return self._copy.stamps(corners, size)
        return super().stamps(corners, size)

    @override
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        return self._unpack().rows(start, stop)

    @override
    def finish(self) -> None:
        """Read on to the end: damage shows there, and an image all of whose pixels are one number.

        Raises
        ------
        BadDataError
            If the stream is damaged, or the image constant.
        """
        if self._copy is not None or self._next == 0:
            return
        while self._next * self.strip_rows < self.shape_YX[0]:
            self._read_strip()
        assert self._stream is not None
        with explained(self.path):
            while self._stream.read(PIECE):
                pass
            self.odd_bytes = self._stream.tell() % BLOCK
        self.bytes_read = self.path.stat().st_size
        low, high = self._extremes
        if not low < high:
            what = "no finite pixel" if low > high else f"every pixel is {low:g}"
            raise BadDataError(f"{self.path}: {what}; the image is constant or empty")

    @override
    def close(self) -> None:
        for opened in (self._stream, self._copy):
            if opened is not None:
                opened.close()

    @override
    def _make_strip(self, strip: int, later: list[int]) -> NDArray[Any]:
        while self._next < strip:
            self._read_strip()
        return self._scaling.values(self._read_strip())

    def _read_strip(self) -> NDArray[Any]:
        """The stored numbers of the next strip."""
        if self._stream is None:
            self._stream = self._begin(self.path)
            self._read(self._offset)
        start = self._next * self.strip_rows
        height = min(self.strip_rows, self.shape_YX[0] - start)
        stored = np.frombuffer(
            self._read(height * self.shape_YX[1] * self._dtype.itemsize), self._dtype
        )
        self._next += 1
        finite = stored[np.isfinite(stored)]
        if len(finite):
            low, high = self._extremes
            self._extremes = min(low, float(finite.min())), max(high, float(finite.max()))
        native = stored.astype(self._dtype.newbyteorder("="))
        return native.reshape(height, self.shape_YX[1])

    def _read(self, size: int) -> bytes:
        assert self._stream is not None
        with explained(self.path):
            content = self._stream.read(size)
        if len(content) < size:
            raise BadDataError(
                f"{self.path}: truncated, it ends before its pixels do; copy it again"
            )
        return content

    def _unpack(self) -> MappedImage:
        """The image as an uncompressed copy on scratch, made when it is first needed."""
        if self._copy is None:
            with explained(self.path), unpacked(self.path, self._begin, self._scratch) as copy:
                # The mapping outlives the file's name: nothing stays, however the process ends.
                file = Path(copy.name).open("rb")  # noqa: SIM115 - the image closes it
                self._copy = MappedImage(self.path, self.header, self.shape_YX, self._offset, file)
            self.bytes_read = self.path.stat().st_size
        return self._copy


def unpacked(
    path: Path, begin: Callable[[Path], BinaryIO], scratch: Path | None
) -> "tempfile._TemporaryFileWrapper[bytes]":
    """A copy of the whole stream on scratch, which goes when it is closed.

    Raises
    ------
    HostError
        If there is no scratch here.
    """
    try:
        copy = tempfile.NamedTemporaryFile(dir=scratch, prefix="photoz-")  # noqa: SIM115
    except OSError as error:
        raise HostError(
            f"no scratch here ({error.strerror}); set TMPDIR or scratch to a folder of this machine"
        ) from error
    try:
        with begin(path) as stream:
            shutil.copyfileobj(stream, copy, PIECE)
        copy.flush()
    except BaseException:
        copy.close()
        raise
    return copy
