"""Tile-compressed images (fpack): strips of rows, each unpacked once, by child processes."""

from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from typing_extensions import override

from photoz_run.images.header import number
from photoz_run.images.image import NO_DOUBT, STRIP_ROWS, Corners, StripImage, needed_strips
from photoz_run.images.plan import ReadingPlan, Storage, merged
from photoz_run.images.rounding import DITHERED, KEEPS_ZEROS
from photoz_run.images.unpacking import Strip, UnpackerPool

UNPACKED_AHEAD = 2
"""Strips that are being unpacked while one is cut."""


class PackedImage(StripImage):
    """A tile-compressed image.

    ``place`` is where its bytes lie: its path, or ``copy``, the unpacked content of a ``.fz.gz``.
    """

    def __init__(
        self,
        path: Path,
        header: fits.Header,
        shape_YX: tuple[int, int],
        packing: "Packing",
        place: Path,
        extension: int,
        pool: UnpackerPool,
        copy: IO[bytes] | None = None,
    ) -> None:
        tile_rows = packing.tile_shape_YX[0]
        super().__init__(path, header, shape_YX, -(-STRIP_ROWS // tile_rows) * tile_rows)
        self.packing = packing
        self.zero_is_a_value |= packing.lossy and packing.dither not in DITHERED
        self._place = place
        self._extension = extension
        self._pool = pool
        self._copy = copy
        self._coming: dict[int, Future[NDArray[Any]]] = {}
        self._wanted = np.ones(len(packing.bytes_T), bool)
        """Rows of tiles that are unpacked; the others of a strip are left out."""

    @override
    def plan(self, corners: Corners, size: int, storage: Storage) -> ReadingPlan:
        tiles = self._tiles(corners[0], size)
        self._want(tiles)
        strips = needed_strips(corners[0], size, self.shape_YX[0], self.strip_rows)
        self.way = ReadingPlan("strips", int(self.packing.bytes_T[tiles].sum()), len(strips))
        return self.way

    @override
    def stamps(self, corners: Corners, size: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        if not self._wanted[self._tiles(corners[0], size)].all():
            self._want(np.arange(len(self._wanted)))
        return super().stamps(corners, size)

    @override
    def doubt(self, y0_N: NDArray[np.int64], size: int) -> NDArray[np.float32]:
        if not self.packing.lossy:
            return super().doubt(y0_N, size)
        if self.packing.dither == KEEPS_ZEROS:
            return NO_DOUBT
        row_NH = y0_N[:, None] + np.arange(size)
        return (self.packing.steps(row_NH)[:, :, None] / 2).astype(np.float32)

    @override
    def rows(self, start: int, stop: int) -> NDArray[Any]:
        return self._scaling.values(self._pool.submit(self._whole(start, stop)).result())

    @override
    def _single_rows(self, lines: list[int]) -> list[NDArray[Any]]:
        # All are asked for before the first answer is waited for.
        coming = [self._pool.submit(self._whole(line, line + 1)) for line in lines]
        return [self._scaling.values(future.result()) for future in coming]

    @override
    def close(self) -> None:
        for future in self._coming.values():
            future.cancel()
        if self._copy is not None:
            self._copy.close()

    @override
    def _make_strip(self, strip: int, later: list[int]) -> NDArray[Any]:
        for wanted in [strip, *later[:UNPACKED_AHEAD]]:
            if wanted not in self._coming and wanted not in self._kept:
                self._coming[wanted] = self._pool.submit(self._strip_of_tiles(wanted))
        return self._scaling.values(self._coming.pop(strip).result())

    def _strip_of_tiles(self, strip: int) -> Strip:
        """The wanted rows of tiles in a strip."""
        tile_rows, height = self.packing.tile_shape_YX[0], self.shape_YX[0]
        start = strip * self.strip_rows
        stop = min(start + self.strip_rows, height)
        first = start // tile_rows
        tiles = first + np.flatnonzero(self._wanted[first : -(-stop // tile_rows)])
        self.bytes_read += int(self.packing.bytes_T[tiles].sum())
        spans = [(a * tile_rows, min(b * tile_rows, height)) for a, b in merged(tiles, 0).tolist()]
        return self._request(start, stop, spans)

    def _whole(self, start: int, stop: int) -> Strip:
        return self._request(start, stop, [(start, stop)])

    def _request(self, start: int, stop: int, spans: list[tuple[int, int]]) -> Strip:
        room = max(8, (stop - start) * self.shape_YX[1] * 8)
        return Strip(self._place, self._extension, start, stop, spans, room)

    def _tiles(self, y0_N: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        return needed_strips(y0_N, size, self.shape_YX[0], self.packing.tile_shape_YX[0])

    def _want(self, tiles: NDArray[np.int64]) -> None:
        """Unpack these rows of tiles from now on; strips that were made of others are dropped."""
        self._wanted[:] = False
        self._wanted[tiles] = True
        self._coming.clear()
        self._kept.clear()


class Packing:
    """How an image was packed: tiles, bytes, and the steps in which floats were rounded.

    ``bytes_T`` are the packed bytes of each row of tiles, ``step_T`` its largest step (0: without
    loss).
    """

    def __init__(self, table: fits.BinTableHDU, shape_YX: tuple[int, int]) -> None:
        header = table.header
        self.tile_shape_YX = _tile_shape(header, shape_YX)
        self.dither = str(header.get("ZQUANTIZ", "")).strip()
        across = -(-shape_YX[1] // self.tile_shape_YX[1])
        down = -(-shape_YX[0] // self.tile_shape_YX[0])
        if len(table.data) < across * down:
            raise ValueError(f"{len(table.data)} tiles where the image has {across * down}")
        raw = table.data.view(np.ndarray)
        names = table.columns.names
        sizes = [
            raw[name][:, 0].astype(np.int64)
            for name in ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA")
            if name in names
        ]
        total = np.sum(sizes, axis=0)[: across * down].clip(0)
        self.bytes_T = total.reshape(down, across).sum(axis=1)
        step = np.zeros(across * down)
        if header.get("ZBITPIX", 0) < 0:
            if "ZSCALE" in names:
                step[:] = np.abs(table.data["ZSCALE"][: across * down])
            else:
                step[:] = abs(number(header, "ZSCALE") or 0.0)
        self.step_T: NDArray[np.float64] = step.reshape(down, across).max(axis=1)

    @property
    def lossy(self) -> bool:
        """Whether floats were rounded."""
        return bool((self.step_T > 0).any())

    def steps(self, row_NH: NDArray[np.int64]) -> NDArray[np.float64]:
        """The step of each of these rows; 0 off the image."""
        tile_NH = row_NH // self.tile_shape_YX[0]
        on_image = (tile_NH >= 0) & (tile_NH < len(self.step_T))
        return np.where(on_image, self.step_T[np.clip(tile_NH, 0, len(self.step_T) - 1)], 0.0)


def _tile_shape(header: fits.Header, shape_YX: tuple[int, int]) -> tuple[int, int]:
    width, height = (
        number(header, f"ZTILE{axis}") or default for axis, default in ((1, shape_YX[1]), (2, 1))
    )
    return min(max(1, int(height)), shape_YX[0]), max(1, int(width))
