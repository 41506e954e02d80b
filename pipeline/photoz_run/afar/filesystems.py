"""Files in object stores, and whatever else fsspec opens, with its own configuration."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import fsspec
from typing_extensions import override

from photoz_run.afar.lists import file_name
from photoz_run.afar.store import Answer, Entry, Facts, Store, Tick, failed, not_there, refused
from photoz_run.errors import ConfigError, PhotozError
from photoz_run.places import masked

PIECE = 8 << 20
"""Bytes of one request."""

TIMES = ("LastModified", "last_modified", "mtime", "updated")
"""Under which names file systems tell when a file was written."""


class FileSystemStore(Store):
    """Files of a protocol that fsspec knows: s3, gs, abfs, sftp ..."""

    def __init__(self, url: str) -> None:
        self._passing: tuple[type[Exception], ...] = (OSError, *_library_errors())
        try:
            self._files, _ = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"{masked(url)}: {masked(str(error).splitlines()[0])}") from error
        self._scheme = url.partition("://")[0]

    @override
    def look(self, url: str) -> Facts:
        try:
            return _facts(self._files.info(url, refresh=True))
        except self._passing as error:
            raise _explained(url, error) from error

    @override
    def entries(self, url: str) -> list[Entry]:
        try:
            listing: dict[str, dict[str, Any]] = self._files.find(url, detail=True)
        except self._passing as error:
            raise _explained(url, error) from error
        files = {f"{self._scheme}://{name}": _facts(info) for name, info in listing.items()}
        return [Entry(place, file_name(place), facts) for place, facts in files.items()]

    @override
    @contextmanager
    def read(
        self, url: str, start: int, stop: int | None, known: Facts, stall: float, tick: Tick
    ) -> Iterator[Answer]:
        # Many ranges would be as many looks; one look afterwards tells as much.
        facts = self.look(url) if stop is None or known.bytes < 0 else known
        end = facts.bytes if stop is None else min(stop, facts.bytes)

        def chunks() -> Iterator[bytes]:
            for first in range(start, end, PIECE):
                tick(0)
                last = min(first + PIECE, end)
                try:
                    # By name: in s3fs the second argument is a version.
                    content = self._files.cat_file(url, start=first, end=last)
                except self._passing as error:
                    raise _explained(url, error) from error
                # No request names the version it wants: one that changed on the way shows now.
                if last == end and (change := facts.differs(self.look(url))):
                    raise failed(url, OSError(f"its {change} changed while it was read"))
                yield content

        yield Answer(start, facts, chunks(), True)


def _library_errors() -> tuple[type[Exception], ...]:
    """What the library of S3 raises beside errors of the operating system."""
    try:
        return (importlib.import_module("botocore.exceptions").BotoCoreError,)
    except ImportError:
        return ()


def _explained(url: str, error: Exception) -> PhotozError:
    """The error of the program for one of fsspec or of a library below it."""
    if isinstance(error, FileNotFoundError):
        return not_there(url, str(error))
    if isinstance(error, PermissionError) or "credentials" in str(error).lower():
        return refused(url, str(error))
    return failed(url, error)


def _facts(info: dict[str, Any]) -> Facts:
    moment = next((info[name] for name in TIMES if info.get(name)), None)
    size = info.get("size")
    return Facts(-1 if size is None else size, str(info.get("ETag", "")), _nanoseconds(moment))


def _nanoseconds(moment: Any) -> int:
    """Whole seconds since 1970, in ns, of a time as file systems tell it; 0 if they do not."""
    if isinstance(moment, str):
        try:
            moment = parsedate_to_datetime(moment)
        except ValueError:
            return 0
    if isinstance(moment, datetime):
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return int(moment) * 10**9 if isinstance(moment, int | float) else 0
