"""Where the tables of a FITS file lie: its headers, read one after the other from a stream.

No file name goes through cfitsio, to which ``[ ] $ ( ) +`` in a name mean something else.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from astropy.io.fits import Header

from photoz_run.reading import data_bytes
from photoz_run.tables.streams import open_bytes

BLOCK = 2880
"""A FITS file is made of blocks of so many bytes."""


@dataclass(frozen=True)
class Hdu:
    """One HDU of a file: its number, header, and where its header and its data start (bytes)."""

    number: int
    header: Header
    begin: int
    start: int

    @property
    def name(self) -> str:
        """EXTNAME, "" without one."""
        return str(self.header.get("EXTNAME") or "").strip()

    @property
    def is_table(self) -> bool:
        """Whether it is a table, and not an image that is packed as one."""
        kind = str(self.header.get("XTENSION", "")).strip()
        return kind in ("BINTABLE", "A3DTABLE", "TABLE") and not self.header.get("ZIMAGE", False)

    @property
    def is_ascii(self) -> bool:
        """Whether it is a table of texts."""
        return str(self.header.get("XTENSION", "")).strip() == "TABLE"


def read_hdus(path: Path) -> Iterator[Hdu]:
    """The HDUs of a file, plain or packed with gzip; what follows the last is ignored."""
    with open_bytes(path) as stream:
        start = number = 0
        while _header_follows(stream, start, number):
            begin, header = start, Header.fromfile(stream)
            start = stream.tell()
            yield Hdu(number, header, begin, start)
            start += math.ceil(data_bytes(header) / BLOCK) * BLOCK
            number += 1


def _header_follows(stream: IO[bytes], start: int, number: int) -> bool:
    stream.seek(start)
    begins = stream.read(8)
    stream.seek(start)
    return begins == (b"XTENSION" if number else b"SIMPLE  ")
