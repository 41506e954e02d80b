"""What goes wrong when a survey file is read, in one line for the operator."""

import errno
import gzip
import math
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from astropy.io import fits

from photoz_run.errors import BadDataError, HostError, TransientError

_PASSING = {
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EAGAIN,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
}
"""Errors of a parallel file system under load; the same read may succeed a minute later."""

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors of a scratch folder without room."""

DAMAGE = (
    *(ValueError, LookupError, TypeError, AttributeError, AssertionError, OverflowError),
    fits.VerifyError,
)
"""What a damaged header makes the FITS libraries raise."""


BLOCK = 2880
"""A FITS file is made of blocks of so many bytes."""

LONGEST_HEADER = 2000
"""Blocks; an END must not be sought for through a file of 1.5 GB."""

FILLING = b" \t\0"
"""What follows END: blanks, or what careless programs write."""

OUTLINE = (
    *(b"XTENSION", b"BITPIX", b"NAXIS", b"PCOUNT", b"GCOUNT", b"GROUPS"),
    *(b"EXTNAME", b"ZIMAGE", b"ZTABLE"),
)
"""How cards begin that tell what an HDU is, and how large its data are."""

VALUE_BITS = {8, 16, 32, 64, -32, -64}
"""What BITPIX may be."""

LARGEST = 1 << 50
"""Bytes of an HDU; no file has more."""

COPY = "it is damaged or truncated, copy it again"


@contextmanager
def explained(path: Path, container: str = "FITS file", remedy: str = COPY) -> Iterator[None]:
    """Turn what libraries and the file system raise for ``path`` into a `PhotozError`.

    Raises
    ------
    TransientError
        If storage failed in a way that may pass.
    HostError
        If there is no room to unpack it.
    BadDataError
        If the file is missing, unreadable, damaged or not what its content or name says.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise BadDataError(f"{path}: file not found") from error
    except PermissionError as error:
        raise BadDataError(f"{path}: no permission to read it") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        problem = f"the gzip stream is damaged or truncated ({error}); copy the file again"
        raise BadDataError(f"{path}: {problem}") from error
    except OSError as error:
        if error.errno in FULL:
            problem = f"no room to unpack it ({error.strerror}); set scratch to a folder with more"
            raise HostError(f"{path}: {problem}") from error
        if error.errno in _PASSING:
            raise TransientError(f"{path}: {error.strerror}") from error
        raise unreadable(path, container, remedy, _lines(error)[-1]) from error
    except DAMAGE as error:
        raise unreadable(path, container, remedy, _lines(error)[-1]) from error


def check_no_pipe(path: Path) -> None:
    """Refuse what gives its bytes only once, or lets who opens it wait for ever.

    Raises
    ------
    BadDataError
        If it is a named pipe, a socket or a device.
    OSError
        If it cannot be looked at.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise BadDataError(
            f"{path}: a pipe or a device, and it is read more than once; give a file"
        )


def unreadable(path: Path, container: str, remedy: str, reason: str) -> BadDataError:
    """A file whose content is damaged: why, and what to do."""
    return BadDataError(f"{path}: not a readable {container} ({reason}); {remedy}")


def _lines(error: Exception) -> list[str]:
    """The message of a library, line by line; the name of the error where it has none."""
    lines = [line.strip() for line in str(error).strip().splitlines()]
    return lines or [type(error).__name__]


def header_bytes(file: IO[bytes]) -> bytes | None:
    """The header that begins here as it stands; ``None`` at the end of the file.

    Also where only filling follows.

    Raises
    ------
    ValueError
        If what begins here is no header, or it has no end.
    """
    blocks: list[bytes] = []
    for _ in range(LONGEST_HEADER):
        block = file.read(BLOCK)
        if not blocks and not block.startswith((b"SIMPLE  =", b"XTENSION=")):
            if file.tell() == len(block):
                raise ValueError("it does not begin with SIMPLE")
            return None
        if len(block) < BLOCK:
            raise ValueError("a header has no END")
        blocks.append(block)
        if any(block[at : at + 8].rstrip(FILLING) == b"END" for at in range(0, BLOCK, 80)):
            return b"".join(blocks)
    raise ValueError("a header has no END")


def outline(content: bytes) -> fits.Header:
    """A header with the cards of `OUTLINE` alone: to parse all cards of a catalogue takes long."""
    cards = (content[at : at + 80] for at in range(0, len(content), 80))
    return fits.Header.fromstring(b"".join(card for card in cards if card.startswith(OUTLINE)))


def whole_number(header: fits.Header, card: str, default: int | None = None) -> int:
    """The number of a card that counts something: a whole one, never negative.

    Raises
    ------
    ValueError
        If it is none, or the card is missing and ``default`` is ``None``.
    """
    value = header.get(card, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{card} is {value!r}")
    return value


def data_bytes(header: fits.Header) -> int:
    """Bytes of the data of an HDU, the filling of its last block apart (FITS standard 4.4.1).

    Raises
    ------
    ValueError
        If the header counts what cannot be.
    """
    axes = [
        whole_number(header, f"NAXIS{axis}") for axis in range(1, whole_number(header, "NAXIS") + 1)
    ]
    if not axes:
        return 0
    if axes[0] == 0 and header.get("GROUPS") is True:
        axes = axes[1:]
    bits = header.get("BITPIX")
    if not isinstance(bits, int) or bits not in VALUE_BITS:
        raise ValueError(f"BITPIX is {bits!r}")
    values = whole_number(header, "PCOUNT", 0) + math.prod(axes)
    size = abs(bits) // 8 * whole_number(header, "GCOUNT", 1) * values
    if size > LARGEST:
        raise ValueError(f"data of {size:,} bytes")
    return size


@contextmanager
def cfitsio_name(path: Path) -> Iterator[str]:
    """A name under which cfitsio opens exactly this file.

    cfitsio reads ``[ ] ( ) + $ ~`` and a leading ``!`` in a name as commands of its own. It never
    sees the real path here, only the number under which the file is open already.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}" if Path("/proc/self/fd").is_dir() else str(path)
    finally:
        os.close(descriptor)
