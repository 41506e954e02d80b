"""CHECKSUM and DATASUM of FITS files: what they tell of a header, and of data that are read whole.

The sum is that of the standard's appendix J: 32-bit words in ones' complement. CHECKSUM makes the
sum of header and data zero. With DATASUM a header can be judged without a look at its data.
"""

from typing import IO

import numpy as np

WORD = 0xFFFFFFFF

PIECE = 1 << 20
"""Bytes that are summed at once, whole words."""


def add_words(content: bytes, total: int = 0) -> int:
    """The sum of ``content``, filled up with zeros to whole words, added to ``total``."""
    content += bytes(-len(content) % 4)
    total += int(np.frombuffer(content, ">u4").sum(dtype=np.uint64))
    while total > WORD:
        total = (total & WORD) + (total >> 32)
    return total


def header_differs(header: bytes) -> bool:
    """Whether a header is another than the one its CHECKSUM was made of.

    False where it has no CHECKSUM or no DATASUM.
    """
    checksum, datasum = _text(header, b"CHECKSUM"), _text(header, b"DATASUM ")
    if not checksum.strip(b"0 ") or not datasum:
        return False
    if not datasum.isdigit():
        return True
    return add_words(header, int(datasum)) % WORD != 0


def data_differ(header: bytes, stream: IO[bytes], size: int) -> bool:
    """Whether the next ``size`` bytes are other data than those DATASUM was made of.

    False where the header has no DATASUM.
    """
    datasum = _text(header, b"DATASUM ")
    if not datasum.isdigit():
        return False
    total = 0
    for start in range(0, size, PIECE):
        content = stream.read(min(PIECE, size - start))
        if not content:
            return True
        total = add_words(content, total)
    return total % WORD != int(datasum) % WORD


def _text(header: bytes, key: bytes) -> bytes:
    """The text on a card; empty without it."""
    for start in range(0, len(header), 80):
        card = header[start : start + 80]
        if card.startswith(key + b"= '"):
            return card[11:].partition(b"'")[0].strip()
    return b""
