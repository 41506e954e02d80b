"""Streaming pixels out of survey images: plain, ``.fz`` and ``.gz`` files behind one small interface.

An `Image` gives stamps and sampled rows. Plain files are mapped, never loaded: the kernel is told which rows come next
and which are finished, so that a cold file is read ahead in large pieces and the mapping does not count as memory.
Tile-compressed files are read strip by strip. Gzipped files cannot be read at random: they are unpacked once into
node-local scratch and mapped from there.
"""

import gzip
import mmap
import shutil
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import fitsio
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray
from typing_extensions import override

from photoz_run.errors import BadDataError, ConfigError
from photoz_run.reading import explained
from photoz_run.science.cutouts import cut_stamps

STRIP_ROWS = 512
"""Rows of a compressed image in memory at once (38 MB of a KiDS coadd)."""

_DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", -32: ">f4", -64: ">f8"}


class Image(ABC):
    """An opened two-dimensional image; `header` is its FITS header, `shape_YX` its shape."""

    def __init__(self, path: Path, header: fits.Header) -> None:
        self.path = path
        self.header = header
        self.shape_YX: tuple[int, int] = (header["NAXIS2"], header["NAXIS1"])

    @abstractmethod
    def stamps(
        self, y0_N: NDArray[np.int64], x0_N: NDArray[np.int64], size: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Cut stamps as `photoz_run.science.cutouts.cut_stamps` does; nearly sorted ``y0_N`` read in order."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows ``start`` to ``stop`` (exclusive), in native byte order."""

    def sample(self, count: int = 16) -> NDArray[Any]:
        """``count`` rows spread evenly over the image, the outermost tenths left out."""
        height = self.shape_YX[0]
        lines = np.linspace(0.1 * height, 0.9 * height, count).astype(int)
        return np.concatenate([self.rows(int(k), int(k) + 1) for k in np.unique(lines)])

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""


class MappedImage(Image):
    """An uncompressed image, mapped into memory."""

    def __init__(self, path: Path, header: fits.Header, offset: int, file: IO[bytes]) -> None:
        super().__init__(path, header)
        dtype = np.dtype(_DTYPES[header["BITPIX"]])
        self._offset = offset
        self._row_bytes = self.shape_YX[1] * dtype.itemsize
        needed = offset + self.shape_YX[0] * self._row_bytes
        size = file.seek(0, 2)
        if size < needed:
            raise BadDataError(
                f"{path}: truncated, {size:,} bytes where its header promises {needed:,}; copy it again"
            )
        self._file = file
        self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self._array_YX = np.frombuffer(
            self._map, dtype, self.shape_YX[0] * self.shape_YX[1], offset
        ).reshape(self.shape_YX)
        self._scale = float(header.get("BSCALE", 1.0)), float(header.get("BZERO", 0.0))

    @override
    def stamps(
        self, y0_N: NDArray[np.int64], x0_N: NDArray[np.int64], size: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        if len(y0_N) == 0:
            return cut_stamps(self._array_YX, y0_N, x0_N, size)
        spans = list(_merged(np.sort(y0_N), size, self.shape_YX[0]))
        for start, stop in spans:
            self._advise(mmap.MADV_WILLNEED, start, stop)
        values, covered = cut_stamps(self._array_YX, y0_N, x0_N, size)
        for start, stop in spans:
            self._advise(mmap.MADV_DONTNEED, start, stop)
        return self._scaled(values), covered

    @override
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        values = self._array_YX[start:stop]
        return self._scaled(values.astype(values.dtype.newbyteorder("=")))

    @override
    def close(self) -> None:
        del self._array_YX
        self._map.close()
        self._file.close()

    def _scaled(self, values: NDArray[Any]) -> NDArray[Any]:
        scale, zero = self._scale
        return values if (scale, zero) == (1.0, 0.0) else values * scale + zero

    def _advise(self, advice: int, start: int, stop: int) -> None:
        first = (self._offset + start * self._row_bytes) // mmap.PAGESIZE * mmap.PAGESIZE
        self._map.madvise(advice, first, self._offset + stop * self._row_bytes - first)


class PackedImage(Image):
    """A tile-compressed image (fpack), read in strips of `STRIP_ROWS` rows; the last strip is kept."""

    def __init__(self, path: Path, header: fits.Header, extension: int) -> None:
        super().__init__(path, header)
        self._fits = fitsio.FITS(str(path))
        self._hdu = self._fits[extension]
        self._strip: tuple[tuple[int, int], NDArray[Any]] | None = None

    @override
    def stamps(
        self, y0_N: NDArray[np.int64], x0_N: NDArray[np.int64], size: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        strip_N = y0_N // STRIP_ROWS
        parts = []
        for k in np.unique(strip_N):
            here = strip_N == k
            start = max(0, int(k) * STRIP_ROWS)
            rows_YX = self._strip_rows(
                start, min(self.shape_YX[0], (int(k) + 1) * STRIP_ROWS + size)
            )
            parts.append(cut_stamps(rows_YX, y0_N[here] - start, x0_N[here], size))
        if not parts:
            return cut_stamps(np.zeros(self.shape_YX, np.float32)[:0], y0_N, x0_N, size)
        values, covered = zip(*parts, strict=True)
        place_N = np.argsort(np.argsort(strip_N, kind="stable"), kind="stable")
        return np.concatenate(values)[place_N], np.concatenate(covered)[place_N]

    @override
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        with explained(self.path):
            values: NDArray[Any] = self._hdu[start:stop, :]
        return values

    @override
    def close(self) -> None:
        self._fits.close()

    def _strip_rows(self, start: int, stop: int) -> NDArray[Any]:
        if stop <= start:
            return np.zeros((0, self.shape_YX[1]), np.float32)
        if self._strip is None or self._strip[0] != (start, stop):
            self._strip = ((start, stop), self.rows(start, stop))
        return self._strip[1]


def open_image(path: Path, scratch: Path | None = None) -> Image:
    """Open the first two-dimensional image of a FITS file, compressed or not.

    Parameters
    ----------
    path
        ``.fits``, ``.fits.fz`` or ``.fits.gz``.
    scratch
        Node-local folder for unpacked ``.gz`` files; the system's temporary folder if ``None``.

    Raises
    ------
    BadDataError
        If the file is missing, not FITS, truncated, or has no two-dimensional image.
    ConfigError
        If the scratch folder does not exist.
    """
    if scratch is not None and not scratch.is_dir():
        raise ConfigError(f"scratch folder {scratch} does not exist on this machine")
    with explained(path):
        if path.suffix != ".gz":
            return _first_image(path, path)
        with tempfile.NamedTemporaryFile(dir=scratch, prefix="photoz-") as unpacked:
            with gzip.open(path) as source:
                shutil.copyfileobj(source, unpacked, 1 << 22)
            unpacked.flush()
            # The mapping outlives the file's name: nothing stays behind, however the process ends.
            return _first_image(path, Path(unpacked.name))


def image_header(path: Path) -> fits.Header:
    """The header of an image file, without opening its pixels; `BadDataError` if it cannot be read."""
    with explained(path):
        return fits.getheader(path, 1 if ".fz" in path.suffixes else 0)


def _first_image(path: Path, plain: Path) -> Image:
    """The first image of ``path``, whose bytes lie in ``plain`` (the same file, or its unpacked copy)."""
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        # Truncation is an error here, and said as one.
        warnings.simplefilter("ignore", AstropyUserWarning)
        hdu_list = stack.enter_context(fits.open(plain, memmap=True, lazy_load_hdus=True))
        for extension, hdu in enumerate(_hdus(hdu_list)):
            if hdu.header.get("NAXIS") != 2:
                continue
            header = hdu.header.copy()
            if isinstance(hdu, fits.CompImageHDU):
                return PackedImage(path, header, extension)
            if hdu.is_image:
                return MappedImage(path, header, hdu.fileinfo()["datLoc"], plain.open("rb"))
    raise BadDataError(f"{path}: no two-dimensional image in any HDU")


def _hdus(hdu_list: fits.HDUList) -> Iterator[Any]:
    # len() would read on to the end of a file of several GB; asking for one HDU more does not.
    extension = 0
    while True:
        try:
            yield hdu_list[extension]
        except IndexError:
            return
        extension += 1


def _merged(y0_N: NDArray[np.int64], size: int, height: int) -> Iterator[tuple[int, int]]:
    """Row ranges touched by stamps with sorted first rows, overlapping ones joined, clipped to the image."""
    starts_N = np.clip(y0_N, 0, height - 1)
    stops_N = np.clip(y0_N + size, 1, height)
    breaks = np.flatnonzero(starts_N[1:] > stops_N[:-1]) + 1
    for part in np.split(np.arange(len(y0_N)), breaks):
        yield int(starts_N[part[0]]), int(stops_N[part[-1]])
