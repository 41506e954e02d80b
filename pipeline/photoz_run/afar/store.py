"""What any place of files can be asked, whatever protocol it speaks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from photoz_run.errors import BadDataError, ConfigError, TransientError
from photoz_run.places import masked

SILENCE = 60.0
"""Seconds without a byte after which a transfer has failed."""

Tick = Callable[[int], None]
"""Told the bytes that came, and 0 about each second while none come; what it raises ends a fetch.
"""


class ServerError(TransientError):
    """A server failed in a way that may pass; it may have said how many seconds to wait."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message, wait)
        self.wait = wait

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Facts:
    """What tells whether a file has changed; -1, "" and 0 where its server does not say."""

    bytes: int = -1
    etag: str = ""
    modified_ns: int = 0

    @property
    def certain(self) -> bool:
        """Whether another version of the file would show: parts of two are never put together."""
        return self.bytes >= 0 and bool(self.etag or self.modified_ns)

    def differs(self, other: "Facts") -> str:
        """What both tell, and tell otherwise: "size", "ETag" or "Last-Modified"; else "".

        Apache calls the ETag of a file weak (``W/``) for a second after its last change.
        """
        pairs = (
            ("size", self.bytes, other.bytes, -1),
            ("ETag", self.etag.removeprefix("W/"), other.etag.removeprefix("W/"), ""),
            ("Last-Modified", self.modified_ns, other.modified_ns, 0),
        )
        for name, mine, theirs, untold in pairs:
            if mine != theirs and untold not in (mine, theirs):
                return name
        return ""


UNTOLD = Facts()


@dataclass(frozen=True)
class Answer:
    """Bytes of a file as they come: from which one on, and of which file."""

    start: int
    facts: Facts
    chunks: Iterator[bytes]
    ranged: bool
    """Whether it is the range that was asked for, and not the whole file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a listing: its address, what it is called, and what the listing tells of it."""

    url: str = field(repr=False)
    name: str
    facts: Facts
    checksum: str = ""
    """``md5:`` or ``sha256:`` and hexadecimal digits."""


class Store(ABC):
    """A protocol by which files are listed and read."""

    @abstractmethod
    def entries(self, url: str) -> list[Entry]:
        """Every file below a folder, or in a list that lies behind the address."""

    @abstractmethod
    def look(self, url: str) -> Facts:
        """Size, ETag and time of a file, which is not read."""

    @abstractmethod
    def read(
        self, url: str, start: int, stop: int | None, known: Facts, stall: float, tick: Tick
    ) -> AbstractContextManager[Answer]:
        """Bytes ``start`` to ``stop`` (to the end if ``None``), in order, as they come.

        A server that knows no ranges answers from 0. One that sends nothing for ``stall`` seconds
        has failed.

        Raises
        ------
        ServerError
            If the server fails in a way that may pass.
        BadDataError
            If it has no such file.
        ConfigError
            If it wants other credentials.
        """


def refused(url: str, reason: str) -> ConfigError:
    """The error of a server that wants other credentials."""
    return ConfigError(
        f"{masked(url)}: refused ({masked(reason)}); credentials are missing or wrong: ~/.netrc,"
        " fsspec's configuration, or those of the store"
    )


def not_there(url: str, reason: str) -> BadDataError:
    """The error of a file that does not exist."""
    return BadDataError(f"{masked(url)}: not there ({masked(reason)})")


def failed(url: str, error: Exception) -> ServerError:
    """The error of a transfer that broke off."""
    lines = str(error).splitlines() or [type(error).__name__]
    return ServerError(f"{masked(url)}: {masked(lines[0]) or type(error).__name__}")
