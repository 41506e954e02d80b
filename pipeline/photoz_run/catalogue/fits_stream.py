"""Writing the HDUs of a FITS file one after the other in bounded memory, each with CHECKSUM and DATASUM.

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
ROWS = 1 << 16
"""Rows that are turned into bytes at once."""
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
    described = [
        one for number, column in enumerate(columns, start=1) for one in column.cards(number)
    ]
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
    found = 0
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            yield packed(batch.slice(start, ROWS), columns).tobytes()
        found += batch.num_rows
    if found != rows:
        raise BadDataError(f"{found} rows came for a table of {rows}")


def write_hdu(file: BinaryIO, header: fits.Header, chunks: Iterable[bytes] = ()) -> None:
    """Write one HDU at the file's position, then its sums into its header."""
    start = file.tell()
    header["CHECKSUM"] = ("0" * 16, "sum of the HDU as written")
    header["DATASUM"] = ("0", "sum of the data as written")
    file.write(header.tostring().encode("ascii"))
    total = 0
    for block in _blocks(chunks):
        file.write(block)
        total = _sum(block, total)
    end = file.tell()
    header["DATASUM"] = str(total)
    header["CHECKSUM"] = _encoded(~_sum(header.tostring().encode("ascii"), total) & 0xFFFFFFFF)
    file.seek(start)
    file.write(header.tostring().encode("ascii"))
    file.seek(end)


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


def _sum(data: bytes, start: int = 0) -> int:
    """The 32-bit ones' complement sum of big-endian words, added to ``start``."""
    total = start + int(np.frombuffer(data, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encoded(value: int) -> str:
    """``value`` as the 16 letters and digits of a CHECKSUM card, in the place where the card holds them."""
    text = bytearray(16)
    for position, byte in enumerate(value.to_bytes(4, "big")):
        quarters = [byte // 4 + byte % 4 + ord("0"), *[byte // 4 + ord("0")] * 3]
        while FORBIDDEN.intersection(quarters):
            quarters = [
                one + (1 - 2 * (k % 2))
                if FORBIDDEN.intersection(quarters[k - k % 2 : k - k % 2 + 2])
                else one
                for k, one in enumerate(quarters)
            ]
        text[position::4] = bytes(quarters)
    # The card's text starts one byte before a word does.
    return (text[-1:] + text[:-1]).decode("ascii")
