"""Files in object stores, and whatever else fsspec opens, with its own configuration."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import fsspec
from typing_extensions import override

from photoz_run.afar.lists import file_name
from photoz_run.afar.store import Answer, Entry, Facts, Store, Tick, failed, not_there, refused
from photoz_run.errors import ConfigError
from photoz_run.places import masked

PIECE = 8 << 20
"""Bytes of one request."""

TIMES = ("LastModified", "last_modified", "mtime", "updated", "modify", "modified", "created")
"""Under which names file systems tell when a file was written."""

LIBRARIES = {
    "aiohttp": "ClientError",
    "azure.core.exceptions": "AzureError",
    "botocore.exceptions": "BotoCoreError",
    "ftplib": "Error",
    "gcsfs.retry": "HttpError",
    "paramiko": "SSHException",
}
"""What the libraries below fsspec raise beside errors of the operating system."""

REFUSALS = ("530 ", "authentication", "credentials")
"""Words of those who want to know who asks."""


Opened = tuple[fsspec.AbstractFileSystem, str]
"""A file system, and what a file or folder is called there."""


class FileSystemStore(Store):
    """Files of a protocol that fsspec knows: s3, gs, abfs, sftp ..."""

    def __init__(self) -> None:
        self._opened: dict[str, Opened] = {}
        """Some file systems have a connection for each: one must do for all ranges of a file."""

    def _open(self, url: str) -> Opened:
        if url not in self._opened:
            self._opened[url] = _open(url)
        return self._opened[url]

    @override
    def look(self, url: str) -> Facts:
        with _explained(url):
            return _looked_at(*self._open(url))

    @override
    def entries(self, url: str) -> list[Entry]:
        with _explained(url):
            files, top = self._open(url)
            listing: dict[str, dict[str, Any]] = files.find(top, detail=True)
        return [
            Entry(_address(url, name.removeprefix(top)), file_name(name), _facts(info))
            for name, info in listing.items()
        ]

    @override
    @contextmanager
    def read(
        self, url: str, start: int, stop: int | None, known: Facts, stall: float, tick: Tick
    ) -> Iterator[Answer]:
        with _explained(url):
            files, path = self._open(url)
            # Many ranges would be as many looks; who asks for them looks at the end.
            facts = _looked_at(files, path) if stop is None or known.bytes < 0 else known
        end = facts.bytes if stop is None else min(stop, facts.bytes)

        def chunks() -> Iterator[bytes]:
            for first in range(start, end, PIECE):
                tick(0)
                last = min(first + PIECE, end)
                with _explained(url):
                    # By name: in s3fs the second argument is a version.
                    content = files.cat_file(path, start=first, end=last)
                yield content
            # No request names the version it wants: one that changed on the way shows now.
            if facts is not known and (change := facts.differs(self.look(url))):
                raise failed(url, OSError(f"its {change} changed while it was read"))

        yield Answer(start, facts, chunks(), True)


def _open(url: str) -> Opened:
    """The file system behind an address, and what the file or folder is called there."""
    try:
        files, path = fsspec.core.url_to_fs(url)
    except (ImportError, TypeError, ValueError) as error:
        raise ConfigError(f"{masked(url)}: {masked(str(error).splitlines()[0])}") from error
    return files, path


def _looked_at(files: fsspec.AbstractFileSystem, path: str) -> Facts:
    """What is told of a file now, not when its folder was listed."""
    files.invalidate_cache()
    return _facts(files.info(path))


def _address(folder: str, below: str) -> str:
    """The address of a file below a folder; that of a file in an archive goes on with the archive.

    File systems call a file by its path alone, without its host.
    """
    first, chain, rest = folder.partition("::")
    slash = "" if first.endswith("/") else "/"
    return f"{first}{slash}{below.lstrip('/')}{chain}{rest}"


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Errors of fsspec and of the libraries below it become those of the program."""
    try:
        yield
    except FileNotFoundError as error:
        raise not_there(url, str(error)) from error
    except _errors() as error:
        words = str(error).lower()
        if isinstance(error, PermissionError) or any(refusal in words for refusal in REFUSALS):
            raise refused(url, str(error)) from error
        raise failed(url, error) from error


def _errors() -> tuple[type[Exception], ...]:
    """What file systems raise, and the libraries that are in use."""
    used = (module for module in LIBRARIES if module in sys.modules)
    return OSError, EOFError, *(getattr(sys.modules[module], LIBRARIES[module]) for module in used)


def _facts(info: dict[str, Any]) -> Facts:
    moment = next((info[name] for name in TIMES if info.get(name)), None)
    size = info.get("size")
    return Facts(-1 if size is None else size, str(info.get("ETag", "")), _nanoseconds(moment))


def _nanoseconds(moment: Any) -> int:
    """Whole seconds since 1970, in ns, of a time as file systems tell it; 0 if they do not."""
    if isinstance(moment, str):
        moment = _parsed(moment)
    if isinstance(moment, datetime):
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return int(moment) * 10**9 if isinstance(moment, int | float) else 0


def _parsed(text: str) -> datetime | None:
    """A time as S3, Google or FTP write it."""
    parsers = (
        parsedate_to_datetime,
        datetime.fromisoformat,
        lambda digits: datetime.strptime(digits[:14], "%Y%m%d%H%M%S"),
    )
    for parse in parsers:
        with suppress(ValueError):
            return parse(text)
    return None
