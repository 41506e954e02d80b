"""The one way to open an image: what a file is, is told by its content, never by its name."""

import bz2
import filecmp
import gzip
import os
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from photoz_run.errors import BadDataError, ConfigError, PhotozError
from photoz_run.images.header import ImagePlace, find_image, read_header
from photoz_run.images.held import HeldImage, read_held
from photoz_run.images.image import Image
from photoz_run.images.mapped import MappedImage
from photoz_run.images.packed import PackedImage, Packing
from photoz_run.images.streamed import StreamedImage, unpacked
from photoz_run.images.unpacking import unpackers
from photoz_run.reading import BLOCK, check_no_pipe, explained

Begin = Callable[[Path], BinaryIO]

DECOMPRESSORS: dict[bytes, Begin] = {
    b"\x1f\x8b": lambda path: cast(BinaryIO, gzip.GzipFile(path)),
    b"BZh": lambda path: cast(BinaryIO, bz2.BZ2File(path)),
}
"""First bytes of a compressed stream -> how it is opened."""

FOREIGN = {
    b"\xfd7zXZ": "an xz file; unpack it with xz -d",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\x28\xb5\x2f\xfd": "a zstd file; unpack it with zstd -d",
    b"\x1f\x9d": "a .Z file; unpack it with uncompress",
    b"<": "a page of a web site; download the file again",
    b"\x89HDF": "an HDF5 file",
}


def open_image(path: Path, scratch: Path | None = None, threads: int = 1) -> Image:
    """Open the first two-dimensional image of a FITS file.

    Parameters
    ----------
    path
        Plain, tile-compressed (fpack), gzipped or bzip2ed, whatever it is called.
    scratch
        Node-local folder for gzipped files that are asked for out of order; the system's temporary
        folder if ``None``.
    threads
        Processes that unpack a tile-compressed file.

    Raises
    ------
    BadDataError
        If the file is missing, not FITS, truncated, or has no two-dimensional image.
    ConfigError
        If the scratch folder does not exist.
    """
    if scratch is not None and not scratch.is_dir():
        raise ConfigError(f"scratch folder {scratch} does not exist on this machine")
    with explained(path), ExitStack() as stack:
        begin = _decompressor(path)
        file = stack.enter_context(begin(path) if begin else path.open("rb"))
        place = _place(path, file)
        image: Image
        if place.packed:
            image = _packed(path, place, begin, scratch, threads)
        elif begin:
            image = StreamedImage(path, place.header, place.shape_YX, place.start, begin, scratch)
        else:
            kind = MappedImage if read_held(path) is None else HeldImage
            image = kind(path, place.header, place.shape_YX, place.start, file)
            stack.pop_all()  # the file belongs to the image now
        if not begin:
            image.odd_bytes = path.stat().st_size % BLOCK
        image.header_differs = place.header_differs
        return image


def image_header(path: Path) -> fits.Header:
    """The header that `open_image` would give; reads no pixel.

    Raises
    ------
    BadDataError
        If there is no image, or its header cannot be read.
    """
    with explained(path):
        begin = _decompressor(path)
        with begin(path) if begin else path.open("rb") as file:
            place = _place(path, file)
            if not place.packed:
                return place.header
            file.seek(0)
            return _packed_header(file, place.extension)


def first_header(path: Path) -> fits.Header:
    """The primary header of any FITS file; `BadDataError` if it cannot be read."""
    with explained(path):
        begin = _decompressor(path)
        with begin(path) if begin else path.open("rb") as file:
            return read_header(file) or fits.Header()


def written_at(path: Path) -> str:
    """DATE of a file's first header; empty if it has none or cannot be read."""
    try:
        date = first_header(path).get("DATE", "")
    except PhotozError:
        return ""
    return date if isinstance(date, str) else ""


def same_content(path: Path, other: Path) -> bool:
    """Whether two files have the same bytes; files that cannot be read differ."""
    try:
        if path.samefile(other):
            return True
        if path.stat().st_size != other.stat().st_size:
            return False
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False


def _decompressor(path: Path) -> Begin | None:
    check_no_pipe(path)
    with path.open("rb") as file:
        start = file.read(16)
    for magic, begin in DECOMPRESSORS.items():
        if start.startswith(magic):
            return begin
    if not start:
        raise BadDataError(f"{path}: the file is empty; copy it again")
    for magic, what in FOREIGN.items():
        if start.lstrip().startswith(magic):
            raise BadDataError(f"{path}: not a readable FITS file but {what}")
    return None


def _place(path: Path, file: BinaryIO) -> ImagePlace:
    place = find_image(file)
    if place is None:
        raise BadDataError(f"{path}: no two-dimensional image in any HDU")
    return place


def _packed(
    path: Path, place: ImagePlace, begin: Begin | None, scratch: Path | None, threads: int
) -> Image:
    at = path
    copy = unpacked(path, begin, scratch) if begin else None
    if copy is not None:
        # Its name goes when it is closed, its bytes when this process has.
        at = Path(f"/proc/{os.getpid()}/fd/{copy.fileno()}")
    with at.open("rb") as file:
        header = _packed_header(file, place.extension)
    with _quiet(), fits.open(at, memmap=True, disable_image_compression=True) as hdus:
        table = hdus[place.extension]
        if not isinstance(table, fits.BinTableHDU):
            raise ValueError("an HDU with ZIMAGE is no table")
        packing = Packing(table, place.shape_YX)
    pool = unpackers(threads)
    return PackedImage(path, header, place.shape_YX, packing, at, place.extension, pool, copy)


def _packed_header(file: BinaryIO, extension: int) -> fits.Header:
    """The header of a tile-compressed image as it was before it was packed."""
    with _quiet(), fits.open(file, memmap=False, lazy_load_hdus=True) as hdus:
        return hdus[extension].header.copy()


def _quiet() -> "warnings.catch_warnings[None]":
    return warnings.catch_warnings(action="ignore", category=AstropyUserWarning)
