"""Where the tables of a FITS file lie: its headers, read one after the other from a stream.

No file name goes through cfitsio, to which ``[ ] $ ( ) +`` in a name mean something else.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

from astropy.io.fits import Header

from photoz_run.reading import BLOCK, data_bytes, header_bytes, outline
from photoz_run.tables.streams import open_bytes


@dataclass(frozen=True)
class Hdu:
    """One HDU of a file: its number, its header as it stands, and where its data start (bytes)."""

    number: int
    content: bytes = field(repr=False)
    start: int

    @cached_property
    def outline(self) -> Header:
        """The cards that tell what it is."""
        return outline(self.content)

    @cached_property
    def header(self) -> Header:
        """All cards; with many columns that takes long."""
        return Header.fromstring(self.content)

    @property
    def name(self) -> str:
        """EXTNAME, "" without one."""
        return str(self.outline.get("EXTNAME") or "").strip()

    @property
    def is_table(self) -> bool:
        """Whether it is a table, and not an image that is packed as one."""
        kind = str(self.outline.get("XTENSION", "")).strip()
        return kind in ("BINTABLE", "A3DTABLE", "TABLE") and not self.outline.get("ZIMAGE", False)

    @property
    def is_ascii(self) -> bool:
        """Whether it is a table of texts."""
        return str(self.outline.get("XTENSION", "")).strip() == "TABLE"


def read_hdus(path: Path) -> Iterator[Hdu]:
    """The HDUs of a file, plain or packed with gzip; what follows the last is ignored."""
    with open_bytes(path) as stream:
        start = number = 0
        while _header_follows(stream, start, number) and (content := header_bytes(stream)):
            hdu = Hdu(number, content, stream.tell())
            yield hdu
            start = hdu.start + math.ceil(data_bytes(hdu.outline) / BLOCK) * BLOCK
            number += 1


def _header_follows(stream: IO[bytes], start: int, number: int) -> bool:
    stream.seek(start)
    begins = stream.read(8)
    stream.seek(start)
    return begins == (b"XTENSION" if number else b"SIMPLE  ")
