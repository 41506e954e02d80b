"""Writing the HDUs of a FITS file in bounded memory, each with CHECKSUM and DATASUM.

The sums are those of the FITS standard 4.0, section 4.4.2.7 and appendix J.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from astropy.io import fits

from photoz_run.catalogue.fits_cards import Card
from photoz_run.catalogue.fits_columns import FitsColumn, packed
from photoz_run.errors import BadDataError

BLOCK = 2880
ROWS = 1 << 14
"""Rows that are turned into bytes at once: they fit into the cache of a core."""
ALL_ONES = 0xFFFFFFFF
FORBIDDEN = frozenset(b":;<=>?@[\\]^_`")
"""Punctuation between digits and letters that the text of a checksum must not contain."""


def primary_header(cards: Sequence[Card]) -> fits.Header:
    """The header of a primary HDU without data."""
    return fits.Header(
        [
            ("SIMPLE", True, "conforms to FITS standard"),
            ("BITPIX", 8, "array data type"),
            ("NAXIS", 0, "number of array dimensions"),
            ("EXTEND", True, "there are extensions"),
            *cards,
        ]
    )


def table_header(name: str, columns: Sequence[FitsColumn], rows: int) -> fits.Header:
    """The header of a binary table of ``rows`` rows."""
    width = np.dtype([column.stored for column in columns]).itemsize
    described: list[Card] = []
    for number, column in enumerate(columns, start=1):
        described += column.cards(number)
    return fits.Header(
        [
            ("XTENSION", "BINTABLE", "binary table extension"),
            ("BITPIX", 8, "array data type"),
            ("NAXIS", 2, "number of array dimensions"),
            ("NAXIS1", width, "bytes of a row"),
            ("NAXIS2", rows, "number of rows"),
            ("PCOUNT", 0, "number of group parameters"),
            ("GCOUNT", 1, "number of groups"),
            ("TFIELDS", len(columns), "number of columns"),
            *described,
            ("EXTNAME", name, "extension name"),
        ]
    )


def records(
    batches: Iterable[pa.Table], columns: Sequence[FitsColumn], rows: int
) -> Iterator[bytes]:
    """The rows of ``batches`` as bytes of the file, some thousand rows at a time.

    Raises
    ------
    BadDataError
        If there are not ``rows`` of them, as the header says.
    """
    written = 0
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            yield packed(batch.slice(start, ROWS), columns).tobytes()
        written += batch.num_rows
    if written != rows:
        raise BadDataError(f"{written} rows came for a table of {rows}")


def write_hdu(file: BinaryIO, header: fits.Header, chunks: Iterable[bytes] = ()) -> None:
    """Write one HDU at the file's position, then its sums into its header."""
    start = file.tell()
    header["CHECKSUM"] = ("0" * 16, "sum of the HDU as written")
    header["DATASUM"] = ("0", "sum of the data as written")
    file.write(header.tostring().encode("ascii"))
    total = 0
    for block in _blocks(chunks):
        file.write(block)
        total = added_up(block, total)
    end = file.tell()
    header["DATASUM"] = str(total)
    with_header = added_up(header.tostring().encode("ascii"), total)
    header["CHECKSUM"] = _encoded(ALL_ONES - with_header)
    file.seek(start)
    file.write(header.tostring().encode("ascii"))
    file.seek(end)


def added_up(data: bytes | memoryview, start: int = 0) -> int:
    """The 32-bit ones' complement sum of big-endian words, added to ``start``.

    An HDU is whole if the sum of all its bytes is `ALL_ONES` (or 0, which means the same).
    """
    total = start + int(np.frombuffer(data, ">u4").sum(dtype=np.uint64))
    while total > ALL_ONES:
        total = (total & ALL_ONES) + (total >> 32)
    return total


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in whole FITS blocks, the last one filled with zeros."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        whole = len(rest) // BLOCK * BLOCK
        if whole:
            yield rest[:whole]
            rest = rest[whole:]
    if rest:
        yield rest.ljust(BLOCK, b"\0")


def _encoded(value: int) -> str:
    """``value`` as the 16 letters and digits of a CHECKSUM card, in their order in the card."""
    text = bytearray(16)
    for position, byte in enumerate(value.to_bytes(4, "big")):
        text[position::4] = bytes(_quarters(byte))
    # The card's text starts one byte before a word does.
    return (text[-1:] + text[:-1]).decode("ascii")


def _quarters(byte: int) -> list[int]:
    """Four letters or digits whose codes, less that of ``0``, add up to ``byte``."""
    quarter, rest = divmod(byte, 4)
    first, second, third, fourth = (ord("0") + quarter + more for more in (rest, 0, 0, 0))
    while FORBIDDEN.intersection((first, second, third, fourth)):
        if FORBIDDEN.intersection((first, second)):
            first, second = first + 1, second - 1
        if FORBIDDEN.intersection((third, fourth)):
            third, fourth = third + 1, fourth - 1
    return [first, second, third, fourth]
