"""What every image can do, whatever container it lies in."""

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from typing_extensions import override

from photoz_run.images.plan import PLAIN_WAY, ReadingPlan, Storage
from photoz_run.images.rounding import told_rounding
from photoz_run.images.scaling import read_scaling
from photoz_run.science.cutouts import cut_stamps

Corners = tuple[NDArray[np.int64], NDArray[np.int64]]
"""First row and first column of each stamp."""

STRIP_ROWS = 64
"""Rows of a compressed image that are made at once (4.7 MB of a KiDS coadd)."""

SAMPLED = 16
"""Rows by which an image is judged before its stamps are cut."""

STRIPS_KEPT = 3
"""Strips kept in memory: stamps of the next batch may begin in the last strips of this one."""


UNTOLD_DOUBT = 0.1
"""Of the median of an image that was packed with loss and unpacked by others. Of weights fpack's
default makes 0.03 to 0.07 of zero; a pixel with one exposure of five has 0.2."""

NO_DOUBT = np.zeros((1, 1, 1), np.float32)
"""Of values that were stored as they are."""


class Image(ABC):
    """An opened two-dimensional image.

    ``header`` is that of the HDU whose pixels are read, ``shape_YX`` the image's shape,
    ``bytes_read`` what has been asked of the file so far.
    """

    way: ReadingPlan = PLAIN_WAY
    header_differs = False
    """Whether the header is another than the one its CHECKSUM was made of."""
    odd_bytes = 0
    """By how many bytes the file, unpacked, is longer than whole blocks of FITS."""

    def __init__(self, path: Path, header: fits.Header, shape_YX: tuple[int, int]) -> None:
        self.path = path
        self.header = header
        self.shape_YX = shape_YX
        self.bytes_read = 0
        self.rounding = told_rounding(header) if header["BITPIX"] < 0 else None
        """How its pixels were rounded when it was packed, whether or not it is unpacked now."""
        # Rounded without dither, a pixel of the sky is often exactly zero.
        makes_zeros = self.rounding is not None and self.rounding.makes_zeros
        self.zero_is_a_value = header["BITPIX"] > 0 or makes_zeros
        """Whether pixels may be measured as exactly zero: floating-point numbers are not."""
        self._scaling = read_scaling(header)

    def plan(self, corners: Corners, size: int, storage: Storage) -> ReadingPlan:
        """How stamps of ``size`` at ``corners`` will be read; every later call goes by it."""
        return self.way

    def announce(self, corners: Corners, size: int) -> None:  # noqa: B027 - most have nothing to do
        """Say which stamps are asked for next, so that storage can begin with them."""

    @abstractmethod
    def stamps(self, corners: Corners, size: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Cut stamps as `cut_stamps` of `photoz_run.science.cutouts` does.

        Rows that are nearly sorted are read in order.
        """

    @abstractmethod
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows ``start`` to ``stop`` (exclusive), in native byte order."""

    def doubt(self, y0_N: NDArray[np.int64], size: int) -> NDArray[np.float32]:
        """How far values may be off by packing, by stamp and row [N, H, 1]."""
        return self._untold_doubt

    @cached_property
    def _untold_doubt(self) -> NDArray[np.float32]:
        """Of an image whose steps are not known any more."""
        if self.rounding is None or self.rounding.keeps_zeros:
            return NO_DOUBT
        return np.full_like(NO_DOUBT, UNTOLD_DOUBT * np.median(np.abs(self.sample)))

    @cached_property
    def sample(self) -> NDArray[Any]:
        """`SAMPLED` rows spread evenly over the image, the outermost tenths left out."""
        return np.concatenate(self._single_rows(sampled_rows(self.shape_YX[0])))

    def _single_rows(self, lines: list[int]) -> list[NDArray[Any]]:
        return [self.rows(line, line + 1) for line in lines]

    def finish(self) -> None:  # noqa: B027 - most have nothing to do
        """All stamps are cut: look at what could not be checked before."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""


def sampled_rows(height: int) -> list[int]:
    """`SAMPLED` rows spread evenly over an image, the outermost tenths left out."""
    lines = np.linspace(0.1 * height, 0.9 * height, SAMPLED).astype(int)
    return sorted(set(lines.tolist()))


class StripImage(Image):
    """An image that is made in strips of rows, each of them once where stamps come in order."""

    def __init__(
        self, path: Path, header: fits.Header, shape_YX: tuple[int, int], strip_rows: int
    ) -> None:
        super().__init__(path, header, shape_YX)
        self.strip_rows = strip_rows
        self._kept: dict[int, NDArray[Any]] = {}

    @abstractmethod
    def _make_strip(self, strip: int, later: list[int]) -> NDArray[Any]:
        """The values of a strip; ``later`` are those that follow."""

    @override
    def stamps(self, corners: Corners, size: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        y0_N, x0_N = corners
        shape = len(y0_N), size, size
        values_NHW: NDArray[Any] | None = None
        covered_NHW = np.zeros(shape, bool)
        needed = needed_strips(y0_N, size, self.shape_YX[0], self.strip_rows).tolist()
        for k, strip in enumerate(needed):
            start = strip * self.strip_rows
            here = np.flatnonzero((y0_N + size > start) & (y0_N < start + self.strip_rows))
            strip_YX = self._strip(strip, needed[k + 1 :])
            part, on_strip = cut_stamps(strip_YX, y0_N[here] - start, x0_N[here], size)
            if values_NHW is None:
                values_NHW = np.zeros(shape, part.dtype)
            elif part.dtype != values_NHW.dtype:
                # A strip with undefined pixels is floating point, one without may be whole numbers.
                values_NHW = values_NHW.astype(np.promote_types(part.dtype, values_NHW.dtype))
            values_NHW[here] = np.where(on_strip, part, values_NHW[here])
            covered_NHW[here] |= on_strip
        return np.zeros(shape, np.float32) if values_NHW is None else values_NHW, covered_NHW

    def _strip(self, strip: int, later: list[int]) -> NDArray[Any]:
        if strip not in self._kept:
            made = self._make_strip(strip, later)
            while len(self._kept) >= STRIPS_KEPT:
                del self._kept[min(self._kept)]
            self._kept[strip] = made
        return self._kept[strip]


def needed_strips(
    y0_N: NDArray[np.int64], size: int, height: int, strip_rows: int
) -> NDArray[np.int64]:
    """The strips that hold rows of stamps, in order."""
    on_image_N = (y0_N + size > 0) & (y0_N < height)
    first_N = np.clip(y0_N[on_image_N], 0, height - 1) // strip_rows
    last_N = np.clip(y0_N[on_image_N] + size - 1, 0, height - 1) // strip_rows
    needed = np.zeros(-(-height // strip_rows), bool)
    for step in range(int((last_N - first_N).max(initial=0)) + 1):
        needed[np.minimum(first_N + step, last_N)] = True
    return np.flatnonzero(needed)
