"""Files as streams of bytes, gzip unpacked on the way."""

import gzip
from pathlib import Path
from typing import IO, cast

GZIP = b"\x1f\x8b"
BLOCK = 1 << 22
"""Bytes of one read."""
PIECE = 1 << 24
"""Bytes that are asked for at once, however many a header promises."""


def is_gzip(path: Path) -> bool:
    """Whether a file is packed with gzip, by its first bytes."""
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def open_bytes(path: Path) -> IO[bytes]:
    """A file to read from, unpacked if it is packed with gzip."""
    return cast(IO[bytes], gzip.open(path, "rb")) if is_gzip(path) else path.open("rb")


def read_bytes(stream: IO[bytes], number: int) -> bytes:
    """The next bytes, fewer where the stream ends: memory follows the file, not ``number``."""
    parts = []
    while number > 0 and (part := stream.read(min(number, PIECE))):
        parts.append(part)
        number -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def first_bytes(path: Path, number: int) -> bytes:
    """The first bytes of a file, unpacked."""
    with open_bytes(path) as stream:
        return stream.read(number)
