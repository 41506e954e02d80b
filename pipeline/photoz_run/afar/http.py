"""Files behind HTTP: fsspec's session of aiohttp, with its configuration, and ranges."""

import asyncio
import concurrent.futures
import os
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import getproxies

import aiohttp
import fsspec
from typing_extensions import override

from photoz_run.afar.lists import decoded, file_name, links_below, read_list
from photoz_run.afar.store import (
    UNTOLD,
    Answer,
    Entry,
    Facts,
    ServerError,
    Store,
    Tick,
    failed,
    not_there,
    refused,
)
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.places import masked

T = TypeVar("T")

CHUNK = 1 << 18
"""Bytes that are read at once; of a connection that breaks aiohttp drops about as many.
"""
MOMENT = 0.05
"""Seconds for which packets are gathered."""
LOOK_SECONDS = 60.0
"""How long an answer without content may take."""
LONGEST_TEXT = 64 << 20
"""Bytes of an index or a list; a larger one is no such thing."""
ONE_BYTE = {"Range": "bytes=0-0"}
DEEPEST = 6
"""Folders within each other that are looked into."""
POLL = 1.0
"""Seconds between two looks at a server that is silent."""
PASSING = (408, 425, 429)
"""Refusals that may pass, beside all of 500 and more."""


class HttpStore(Store):
    """Files behind http:// and https://."""

    def __init__(self) -> None:
        configured = fsspec.filesystem("https").client_kwargs
        settings = {"trust_env": environment_counts(), **configured}
        self._files = fsspec.filesystem("https", client_kwargs=settings)

    @override
    def look(self, url: str) -> Facts:
        async def asked() -> Facts:
            async with await self._ask("HEAD", url, {}, LOOK_SECONDS) as response:
                facts = _facts(response)
                if response.status == 200 and facts.bytes > 0:
                    return facts
            # A signature may be good for GET alone, and some servers know no HEAD, or call all
            # files empty.
            async with await self._ask("GET", url, ONE_BYTE, LOOK_SECONDS) as response:
                _check(url, response)
                return _facts(response)

        return self._result(url, asked(), lambda _: None)

    @override
    def entries(self, url: str, deepest: int = DEEPEST) -> list[Entry]:
        text, url = self._result(url, self._text(url), lambda _: None)
        if not text.lstrip().startswith("<"):
            return read_list(text)
        links = links_below(text, url)
        entries = [Entry(link, file_name(link), UNTOLD) for link in links if link[-1] != "/"]
        if deepest:
            for folder in (link for link in links if link[-1] == "/"):
                entries += self.entries(folder, deepest - 1)
        return entries

    async def _text(self, url: str) -> tuple[str, str]:
        """The text behind an address, and the address after redirections."""
        async with await self._ask("GET", url, {}, LOOK_SECONDS) as response:
            _check(url, response)
            content = b""
            while chunk := await response.content.read(CHUNK):
                content += chunk
                if b"\0" in chunk or content.startswith(b"SIMPLE  =") or _too_long(content):
                    raise ConfigError(f"{masked(url)} is neither a folder nor a list of addresses")
            return decoded(content), str(response.url)

    @override
    @contextmanager
    def read(
        self, url: str, start: int, stop: int | None, known: Facts, stall: float, tick: Tick
    ) -> Iterator[Answer]:
        asking = self._opened(url, _range(start, stop, known), stall)
        response, first = self._result(url, asking, tick)
        content = response.content
        try:
            _check(url, response)
            ranged = response.status == 206
            begin = _content_range(response)[0] if ranged else 0

            def chunks() -> Iterator[bytes]:
                yield first
                while not content.at_eof() and (chunk := self._result(url, _piece(content), tick)):
                    yield chunk

            yield Answer(begin, _facts(response), chunks(), ranged)
        finally:
            if not content.at_eof():
                self._result(url, _close(response), lambda _: None)

    async def _opened(
        self, url: str, headers: Mapping[str, str], stall: float
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """An answer, and the first of what it holds."""
        response = await self._ask("GET", url, headers, stall)
        try:
            return response, await _piece(response.content)
        except BaseException:
            response.close()
            raise

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], stall: float
    ) -> aiohttp.ClientResponse:
        session: aiohttp.ClientSession = await self._files.set_session()
        settings = dict(self._files.kwargs)
        settings["headers"] = {
            **settings.get("headers", {}),
            "Accept-Encoding": "identity",
            **headers,
        }
        return await session.request(
            method,
            url,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=stall, sock_read=stall),
            read_bufsize=CHUNK,
            auto_decompress=False,  # a file is kept as it lies there
            **settings,
        )

    def _result(self, url: str, coroutine: Coroutine[Any, Any, T], tick: Tick) -> T:
        """What a coroutine gives in fsspec's loop; ``tick`` is called while it takes long."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._files.loop)
        try:
            while not concurrent.futures.wait([future], POLL).done:
                tick(0)
            return future.result()
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise ConfigError(f"{masked(url)} is no address") from error
        except aiohttp.TooManyRedirects as error:
            raise BadDataError(
                f"{masked(url)}: redirected again and again; does its server ask for a login?"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise failed(url, error) from error
        finally:
            future.cancel()


def environment_counts() -> bool:
    """Whether a proxy or a file of passwords (``~/.netrc``) is set up on this machine.

    aiohttp would look for the file anew with each request, in a thread.
    """
    passwords = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    return bool(getproxies()) or passwords.exists()


async def _piece(content: aiohttp.StreamReader) -> bytes:
    """All that comes within a moment: to hand over each packet costs more than to fetch it."""
    packets = [await content.read(CHUNK)]
    size, end = len(packets[0]), time.monotonic() + MOMENT
    while size < CHUNK and not content.at_eof() and time.monotonic() < end:
        try:
            packets.append(await content.read(CHUNK - size))
        except (aiohttp.ClientError, OSError):
            break  # raised again when the next piece is read
        size += len(packets[-1])
    return b"".join(packets)


def _range(start: int, stop: int | None, known: Facts) -> dict[str, str]:
    if start == 0 and stop is None:
        return {}
    headers = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
    # With a weak ETag, or none, the time must do; the answer is compared with it all the same.
    if known.etag and not known.etag.startswith("W/"):
        headers["If-Range"] = known.etag
    elif known.modified_ns:
        headers["If-Range"] = formatdate(known.modified_ns // 10**9, usegmt=True)
    return headers


def _check(url: str, response: aiohttp.ClientResponse) -> None:
    """Refuse an answer that is no success."""
    status, reason = response.status, f"{response.status} {response.reason or ''}".strip()
    if status in (200, 206):
        return
    if status in (401, 403, 407):
        raise refused(url, reason)
    if status in (404, 410):
        raise not_there(url, reason)
    if status >= 500 or status in PASSING:
        wait = _wait(response.headers.get("Retry-After", ""))
        raise ServerError(f"{masked(url)}: the server answers {reason}", wait)
    raise BadDataError(f"{masked(url)}: the server answers {reason}")


def _facts(response: aiohttp.ClientResponse) -> Facts:
    """What an answer tells of its file."""
    if response.status == 206:
        size = _content_range(response)[1]
    else:
        size = int(response.headers.get("Content-Length", -1))
    try:
        moment = parsedate_to_datetime(response.headers.get("Last-Modified", ""))
        modified_ns = int(moment.timestamp()) * 10**9
    except ValueError:
        modified_ns = 0
    return Facts(size, response.headers.get("ETag", ""), modified_ns)


def _content_range(response: aiohttp.ClientResponse) -> tuple[int, int]:
    """First byte of a range, and the size of the file (-1 if that is not told)."""
    place, _, size = response.headers.get("Content-Range", "").partition("/")
    first = place.removeprefix("bytes").strip().partition("-")[0]
    return int(first) if first.isdigit() else -1, int(size) if size.isdigit() else -1


def _wait(text: str) -> float:
    """Seconds that Retry-After asks for, as a number or a date; 0 without it."""
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _too_long(content: bytes) -> bool:
    return len(content) > LONGEST_TEXT


async def _close(response: aiohttp.ClientResponse) -> None:
    """Break a connection off whose answer was not read to its end, in the loop that serves it."""
    response.close()
