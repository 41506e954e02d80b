"""Every container, kind of number and name: the pixels are those of astropy, or none are."""

import bz2
import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from photoz_run.errors import BadDataError
from photoz_run.images.opening import image_header, open_image
from support.programs import needs

SHAPE = (150, 70)
SIZE = 36
KINDS = {8: "u1", 16: "i2", 32: "i4", 64: "i8", -32: "f4", -64: "f8"}
SCALINGS = {"none": {}, "scaled": {"BSCALE": 0.5, "BZERO": 3.0}, "zero": {"BZERO": 32767}}


def plain(path: Path, bitpix: int, cards: dict) -> Path:
    """An image with its stored numbers as they are, in a later HDU where the path says so."""
    rng = np.random.default_rng(bitpix % 97)
    if bitpix > 0:
        stored = rng.integers(0, 200, SHAPE)
        stored[5:9, 3:8] = 99
    else:
        stored = rng.normal(0, 3e-12, SHAPE)
        stored[5, 3] = np.nan
    header = fits.Header({"SIMPLE": True, "BITPIX": bitpix, "NAXIS": 2})
    header["NAXIS1"], header["NAXIS2"] = SHAPE[::-1]
    header["DMAG"] = 0.25
    for key, value in cards.items():
        header[key] = value
    content = header.tostring().encode() + stored.astype(f">{KINDS[bitpix]}").tobytes()
    path.write_bytes(content + b"\0" * (-len(content) % 2880))
    return path


def in_later_hdu(path: Path) -> None:
    content = path.read_bytes()
    first = fits.PrimaryHDU().header.tostring().encode()
    extension = content[:2880].replace(
        b"SIMPLE  =                    T".ljust(80), b"XTENSION= 'IMAGE   '".ljust(80), 1
    )
    path.write_bytes(first + extension + content[2880:])


def packed(path: Path) -> None:
    subprocess.run(
        ["fpack", "-g", "-q", "0", "-D", "-Y", str(path)], check=True, capture_output=True
    )
    path.with_name(f"{path.name}.fz").rename(path)


def gzipped(path: Path) -> None:
    path.write_bytes(gzip.compress(path.read_bytes(), 1))


def bzipped(path: Path) -> None:
    path.write_bytes(bz2.compress(path.read_bytes(), 1))


def nothing(path: Path) -> None: ...


CONTAINERS: dict[str, tuple[Callable[[Path], None], ...]] = {
    "plain": (nothing,),
    "in HDU 1": (in_later_hdu,),
    "gz": (gzipped,),
    "gz of HDU 1": (in_later_hdu, gzipped),
    "bz2": (bzipped,),
    "fz": (packed,),
    "fz.gz": (packed, gzipped),
}
NAMES = ["image.fits", "image.fits.fz", "image.fits.gz", "tiles[1] (2)+$HOME.fits"]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("bitpix", KINDS)
def test_pixels_and_header_are_those_that_astropy_reads(tmp_path, container, bitpix):
    if "fz" in container:
        needs("fpack")
        if bitpix == 64:
            return  # no program packs such images
    for number, (scaling, blank) in enumerate([(s, b) for s in SCALINGS for b in (False, True)]):
        if "fz" in container and bitpix < 0 and scaling != "none":
            continue  # fpack refuses scaled floats
        cards = SCALINGS[scaling] | ({"BLANK": 99} if blank and bitpix > 0 else {})
        path = plain(tmp_path / f"{number}.fits", bitpix, cards)
        expected = fits.getdata(path).astype(np.float64)
        assert np.isnan(expected).any() == (bitpix < 0 or blank)
        for step in CONTAINERS[container]:
            step(path)
        assert_image(path.rename(tmp_path / f"{number} {NAMES[number % len(NAMES)]}"), expected)


def assert_image(path: Path, expected: np.ndarray) -> None:
    image = open_image(path)
    assert image.shape_YX == SHAPE
    assert image.header["DMAG"] == image_header(path)["DMAG"] == 0.25
    y0_N, x0_N = np.array([-5, 0, 100, 130]), np.array([-3, 2, 40, 60])
    values, covered = image.stamps((y0_N, x0_N), SIZE)
    for k, (y0, x0) in enumerate(zip(y0_N, x0_N, strict=True)):
        whole = np.full((SIZE, SIZE), np.nan)
        rows, columns = slice(max(0, y0), y0 + SIZE), slice(max(0, x0), x0 + SIZE)
        part = expected[rows, columns]
        top, left = max(0, -y0), max(0, -x0)
        whole[top : top + part.shape[0], left : left + part.shape[1]] = part
        found = np.where(covered[k], values[k], np.nan)
        np.testing.assert_allclose(found, whole, rtol=1e-6)
    image.finish()
    np.testing.assert_allclose(image.rows(0, SHAPE[0]), expected, rtol=1e-6)
    image.close()


def read_all(path: Path) -> None:
    image = open_image(path)
    try:
        image.stamps((np.array([0, 120]), np.array([0, 0])), SIZE)
        image.finish()
        image.rows(0, SHAPE[0])
    finally:
        image.close()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("share", [0.97, 0.6, 0.2])
def test_what_is_cut_short_is_refused_in_one_line(tmp_path, container, share):
    if "fz" in container:
        needs("fpack")
    path = plain(tmp_path / "image.fits", -32, {})
    for step in CONTAINERS[container]:
        step(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content.rstrip(b"\0")))])
    with pytest.raises(BadDataError) as refused:
        read_all(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>", "a page of a web site"),
        (b"\xfd7zXZ\0\0\0", "an xz file"),
        (b"PK\x03\x04....", "a zip archive"),
        (b"SIMPLE  =                    T" + b" " * 2850, "a header has no END"),
        (b"SIMPLE  =                    T" + b" " * 6_000_000, "a header has no END"),
    ],
)
def test_what_is_no_image_is_called_what_it_is(tmp_path, content, what):
    (tmp_path / "image.fits").write_bytes(content)
    with pytest.raises(BadDataError, match=what):
        open_image(tmp_path / "image.fits")


@pytest.mark.parametrize(
    ("key", "value"),
    [("BITPIX", 7), ("NAXIS1", -4), ("NAXIS1", 900_000), ("BSCALE", 0.0), ("BSCALE", True)],
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path, key, value):
    with pytest.raises(BadDataError):
        open_image(plain(tmp_path / "image.fits", 16, {key: value})).close()


def test_the_unpacker_is_replaced_after_damage_and_the_next_file_is_read(tmp_path):
    needs("fpack")
    good, bad = (plain(tmp_path / name, -32, {}) for name in ("good.fits", "bad.fits"))
    expected = fits.getdata(good).astype(np.float64)
    for path in (good, bad):
        packed(path)
    content = bytearray(bad.read_bytes())
    for at in range(len(content) // 2, len(content) - 2880, 50):
        content[at] ^= 0x55
    bad.write_bytes(bytes(content))
    image = open_image(bad)
    with pytest.raises(
        BadDataError, match=r"bad\.fits: rows .* cannot be unpacked .*copy it again"
    ):
        image.rows(0, SHAPE[0])
    image.close()
    assert_image(good, expected)
