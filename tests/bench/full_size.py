"""A full-size tile for benchmarks: four coadds of 18,500 x 19,500 pixels with weights and flag
images, and a catalogue.

The pixels are one block of noise, repeated: their values do not matter for speed. Sources are
painted into nothing; the catalogue's magnitudes agree with the (random) pixels only in so far as
the zero-point check has no source bright enough to judge.
"""

from pathlib import Path

import numpy as np
from astropy.io import fits

SHAPE_YX = (19500, 18500)
SKY = 3e-12
SCALE = 0.2 / 3600
RA, DEC = 180.0, -0.5
STEM = "KiDS_DR5.0_180.0_-0.5"
CATALOGUE = f"{STEM}_ugri1i2ZYJHKs_cat.fits"
BITPIX = {">f4": -32, "|u1": 8}
NINE = ["u", "g", "r", "i1", "i2", "Z", "Y", "J", "H", "Ks"]


def image_header(bitpix: int) -> fits.Header:
    """Header of a TAN image of the full shape, centred on the tile."""
    header = fits.Header()
    header["SIMPLE"], header["BITPIX"], header["NAXIS"] = True, bitpix, 2
    header["NAXIS1"], header["NAXIS2"] = SHAPE_YX[1], SHAPE_YX[0]
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = RA, DEC
    header["CRPIX1"], header["CRPIX2"] = SHAPE_YX[1] / 2, SHAPE_YX[0] / 2
    header["CD1_1"], header["CD1_2"], header["CD2_1"], header["CD2_2"] = -SCALE, 0.0, 0.0, SCALE
    header["DMAG"] = 0.0
    return header


def write_image(path: Path, rows: np.ndarray, height: int = SHAPE_YX[0]) -> None:
    """Write an image of full width that repeats the block ``rows``."""
    header = image_header(BITPIX[rows.dtype.str])
    header["NAXIS2"] = height
    with path.open("wb") as file:
        file.write(header.tostring().encode())
        for start in range(0, height, len(rows)):
            file.write(rows[: height - start].tobytes())
        file.write(b"\0" * (-file.tell() % 2880))


def write_catalogue(path: Path, n: int) -> None:
    """Write a catalogue of ``n`` sources spread over the coadds, fainter than the zero-point check
    looks at.
    """
    rng = np.random.default_rng(1)
    half = 0.48 * np.array(SHAPE_YX) * SCALE
    ra, dec = RA + rng.uniform(-half[1], half[1], n), DEC + rng.uniform(-half[0], half[0], n)
    zeros = np.zeros(n)
    columns = [
        fits.Column("ID", "30A", array=[f"KiDSDR5 J{k:09d}" for k in range(n)]),
        fits.Column("RAJ2000", "1D", array=ra),
        fits.Column("DECJ2000", "1D", array=dec),
        fits.Column("MAG_AUTO", "1E", array=rng.uniform(17, 20, n)),
        fits.Column("MASK", "1J", array=zeros),
        *(fits.Column(f"EXTINCTION_{band}", "1E", array=zeros) for band in "ugri"),
        *(fits.Column(f"MAG_GAAP_{band}", "1E", array=rng.uniform(23.5, 25, n)) for band in NINE),
        *(fits.Column(f"FLAG_GAAP_{band}", "1I", array=zeros) for band in NINE),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path, overwrite=True)


def make_tile(folder: Path, n: int) -> None:
    """Make the tile in ``folder`` with ``n`` sources; images that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for product, block in blocks().items():
        for band in "ugri":
            path = folder / f"{STEM}_{band}_{product}.fits"
            if not path.exists():
                write_image(path, block)
    write_catalogue(folder / CATALOGUE, n)


def make_seeds(folder: Path, n: int) -> None:
    """Make what `storage.c` serves as such a tile: of each image the header and its first rows.

    The size of the whole stands in a file's name.
    """
    folder.mkdir(parents=True)
    for product, block in blocks().items():
        header = image_header(BITPIX[block.dtype.str]).tostring().encode()
        size = len(header) + block.itemsize * SHAPE_YX[0] * SHAPE_YX[1]
        size += -size % 2880
        names = [f"{STEM}_{band}_{product}.fits.{size}" for band in "ugri"]
        (folder / names[0]).write_bytes(header + block.tobytes())
        for name in names[1:]:
            (folder / name).hardlink_to(folder / names[0])
    write_catalogue(folder / CATALOGUE, n)


def blocks() -> dict[str, np.ndarray]:
    """The rows that each product of every band repeats."""
    shape = 500, SHAPE_YX[1]
    rng = np.random.default_rng(0)
    return {
        "sci": (SKY * rng.standard_normal(shape)).astype(">f4"),
        "wei": np.full(shape, 1 / SKY**2).astype(">f4"),
        "msk": (rng.random(shape) < 1e-4).astype("u1") * 64,
    }
