"""A tile as large as those of KiDS, in files with holes: pixels stand around its sources alone."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from photoz_run.images.image import sampled_rows
from support import tiles

HEIGHT, WIDTH = 19500, 18500
HALF = 40
"""Half the side of the square of pixels around a source."""


def make_large_tile(folder: Path, number: int) -> tiles.Tile:
    """A tile of DR4 with ``number`` sources all over it.

    Its files have 1.4 GB each by name, and a few MB on disk.
    """
    rng = np.random.default_rng(3)
    x_N = rng.uniform(-0.45 * WIDTH, 0.45 * WIDTH, number)
    y_N = rng.uniform(-0.45 * HEIGHT, 0.45 * HEIGHT, number)
    middle = {band: (WIDTH / 2, HEIGHT / 2) for band in tiles.OPTICAL}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "REFERENCE", middle)
        patch.setattr(tiles, "_positions", lambda *_: _sky(x_N, y_N))
        tile = tiles.make_tile(folder, data_release="DR4.0", number=number, products=())
        for band in tiles.OPTICAL:
            header = tiles.wcs_header(band, 180.0, -0.5) | {"DMAG": tiles.DMAG[band]}
            _write_images(tile, band, header, rng)
    return tile


def _sky(x_N: np.ndarray, y_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ra_N, dec_N = _plane().all_pix2world(x_N, y_N, 0)
    return ra_N % 360, dec_N


def _plane() -> WCS:
    plane = WCS(naxis=2)
    plane.wcs.ctype = "RA---TAN", "DEC--TAN"
    plane.wcs.crval, plane.wcs.crpix = (180.0, -0.5), (1, 1)
    plane.wcs.cdelt = -tiles.SCALE, tiles.SCALE
    return plane


def _write_images(tile: tiles.Tile, band: str, cards: dict, rng: np.random.Generator) -> None:
    x_N, y_N = WCS(fits.Header(cards)).all_world2pix(tile.ra_N, tile.dec_N, 0)
    corners = [(int(y) - HALF, int(x) - HALF) for x, y in zip(x_N, y_N, strict=True)]
    flux_N = 10 ** (-0.4 * (tile.magnitudes[band] - tile.dmag[band] + tile.extinction[band])) / (
        2 * np.pi * tiles.SIGMA**2
    )
    for product, kind in (("sci", ">f4"), ("wei", ">f4"), ("msk", "u1")):
        pixels_YX = _holey(tile.image(band, product), cards, np.dtype(kind))
        for row in sampled_rows(HEIGHT):
            pixels_YX[row] = rng.normal(0, tiles.SKY[band], WIDTH) if product == "sci" else 1
        for (y0, x0), x, y, flux in zip(corners, x_N, y_N, flux_N, strict=True):
            square = slice(y0, y0 + 2 * HALF), slice(x0, x0 + 2 * HALF)
            rows, columns = np.mgrid[square]
            light = flux * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * tiles.SIGMA**2))
            light += rng.normal(0, tiles.SKY[band], light.shape)
            patch = {"sci": light, "wei": np.ones_like(light), "msk": (rows % 50 == 0) * 2}
            pixels_YX[square] = patch[product]
        pixels_YX.flush()


def _holey(path: Path, cards: dict, dtype: np.dtype) -> np.memmap:
    """The pixels of an image file that is nothing but header and hole."""
    header = fits.Header({"SIMPLE": True, "BITPIX": -32 if dtype.kind == "f" else 8, "NAXIS": 2})
    header.update({"NAXIS1": WIDTH, "NAXIS2": HEIGHT} | cards)
    text = header.tostring().encode()
    size = len(text) + WIDTH * HEIGHT * dtype.itemsize
    with path.open("wb") as file:
        file.write(text)
        file.truncate(-(-size // 2880) * 2880)
    return np.memmap(path, dtype, "r+", len(text), (HEIGHT, WIDTH))
