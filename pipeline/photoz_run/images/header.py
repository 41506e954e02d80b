"""Headers of FITS files as they stand: where an image is, and which values are numbers."""

import re
from dataclasses import dataclass
from math import isfinite
from typing import BinaryIO

from astropy.io import fits

from photoz_run.checksum import header_differs
from photoz_run.reading import BLOCK, data_bytes, header_bytes, whole_number

LONGEST_SIDE = 200_000
"""Pixels; a larger number in a header is damage, and no array is made of it."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")


@dataclass(frozen=True)
class ImagePlace:
    """The first two-dimensional image of a file.

    Its HDU, that HDU's header as it stands, and where its data begin.
    """

    extension: int
    header: fits.Header
    start: int
    header_differs: bool = False
    """Whether the header is another than the one its CHECKSUM was made of."""

    @property
    def packed(self) -> bool:
        """Whether the image is tile-compressed: a table as it stands."""
        return "ZIMAGE" in self.header

    @property
    def shape_YX(self) -> tuple[int, int]:
        """Rows and columns of the image.

        Raises
        ------
        ValueError
            If the header gives none, or nonsense.
        """
        prefix = "Z" if self.packed else ""
        height, width = (whole_number(self.header, f"{prefix}NAXIS{axis}") for axis in (2, 1))
        if not (0 < height <= LONGEST_SIDE and 0 < width <= LONGEST_SIDE):
            raise ValueError(f"an image of {width} x {height} pixels")
        return height, width


def find_image(file: BinaryIO) -> ImagePlace | None:
    """The first two-dimensional image of a FITS file; ``None`` if there is none.

    Raises
    ------
    ValueError
        If a header is damaged.
    """
    extension, position = 0, 0
    while (content := header_bytes(file)) is not None:
        header = fits.Header.fromstring(content)
        place = ImagePlace(extension, header, file.tell(), header_differs(content))
        if _is_image(header):
            return place
        position = place.start + -(-data_bytes(header) // BLOCK) * BLOCK
        file.seek(position)
        extension += 1
    return None


def read_header(file: BinaryIO) -> fits.Header | None:
    """The header that begins here; ``None`` at the end of the file, or where only filling follows.

    Raises
    ------
    ValueError
        If what begins here is no header, or it has no end.
    """
    content = header_bytes(file)
    return None if content is None else fits.Header.fromstring(content)


def number(header: fits.Header, key: str) -> float | None:
    """The number of a card; ``None`` if it is absent, not finite, a logical, or other text.

    Text that is a number is one ('0.035'), and so is one with Fortran's exponent (-4.27d-3). A FITS
    logical T is no number, although Python's ``True`` is one.
    """
    value = card_value(header, key)
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value.strip().lower().replace("d", "e"))
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def card_value(header: fits.Header, key: str) -> object:
    """What stands on a card; ``None`` if it is absent or no value of FITS."""
    try:
        return header.get(key)
    except (fits.VerifyError, ValueError):
        return None


def _is_image(header: fits.Header) -> bool:
    if header.get("ZIMAGE") is True:
        return bool(header.get("ZNAXIS") == 2)
    image = str(header.get("XTENSION", "IMAGE")).strip() == "IMAGE"
    return bool(image and header.get("NAXIS") == 2 and header.get("NAXIS1") != 0)
