"""Bytes of a file as they come from its server, whatever happens between two of them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from photoz_run.afar.listing import RemoteFile
from photoz_run.afar.opening import open_store
from photoz_run.afar.store import SILENCE, Answer, Facts, ServerError, Tick
from photoz_run.errors import BadDataError, TransientError
from photoz_run.wording import counted

PAGE = b"<"
"""What a web page begins with, and no file of a survey."""
BLANKS = b"\xef\xbb\xbf \t\r\n"
"""What may stand before it, the mark of UTF-8 included."""


@dataclass(frozen=True)
class Manners:
    """How a server is treated."""

    rate: float | None = None
    """Bytes a second of one transfer, at most."""
    silence: float = SILENCE
    """Seconds without a byte after which a transfer has failed."""
    attempts: int = 6
    """Failures in a row, without a byte between them, after which it is given up."""
    pause: float = 1.0
    """Seconds after the first failure; doubled for each further one."""
    longest_pause: float = 300.0


class NoRangesError(BadDataError):
    """A server answers with the whole file where a range was asked for."""


class Transfer:
    """A file on its way, and what it took so far."""

    def __init__(self, file: RemoteFile, manners: Manners, tick: Tick) -> None:
        self._file = file
        self._store = open_store(file.url)
        self._manners = manners
        self._tick = tick
        self._since = time.monotonic()
        self.moved = 0
        """Bytes that came."""
        self.ranged = False
        """Whether the server has answered with a range."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return time.monotonic() - self._since

    def chunks(self, start: int, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Bytes ``start`` to ``stop`` of the file, with the place of each chunk.

        After a failure it goes on where it was; from ``start`` if nothing would tell another
        version of the file, and from 0 if the server knows no ranges.

        Raises
        ------
        BadDataError
            If the file is not there, or has changed since the run was planned.
        NoRangesError
            If a range is asked for, and the server knows none.
        TransientError
            If the server fails again and again.
        """
        at = farthest = start
        failures = 0
        while True:
            try:
                for place, chunk in self._one_answer(at, stop):
                    yield place, chunk
                    at = place + len(chunk)
                    if at > farthest:
                        farthest, failures = at, 0
                return
            except ServerError as error:
                failures += 1
                self._rest(failures, error)
            if not self._file.facts.certain:
                at = start

    def confirm(self) -> None:
        """Look whether the file is still the one of which ranges came.

        Raises
        ------
        BadDataError, TransientError
            If it has changed, or the server fails again and again.
        """
        failures = 0
        while True:
            try:
                self._compare(self._store.look(self._file.url))
                return
            except ServerError as error:
                failures += 1
                self._rest(failures, error)

    def _one_answer(self, start: int, stop: int | None) -> Iterator[tuple[int, bytes]]:
        """What comes of the bytes before the connection ends.

        Raises
        ------
        ServerError
            If that is not all.
        """
        file, silence = self._file, self._manners.silence
        with self._store.read(file.url, start, stop, file.facts, silence, self._tick) as answer:
            at, self.ranged = answer.start, answer.ranged
            first = next(answer.chunks, b"")
            self._check(answer, first)
            if stop is not None and at != start:
                raise NoRangesError(f"{file.shown}: its server knows no ranges")
            if at not in (0, start):
                raise BadDataError(
                    f"{file.shown}: asked for its bytes from {start:,} on, the server sends others"
                )
            for chunk in chain([first], answer.chunks):
                self._tick(len(chunk))
                self._slow_down(len(chunk))
                yield at, chunk[: None if stop is None else stop - at]
                at += len(chunk)
                if stop is not None and at >= stop:
                    return
        end = max(file.bytes, answer.facts.bytes) if stop is None else stop
        if at < end:
            raise ServerError(f"{file.shown}: the connection ended at byte {at:,} of {end:,}")
        if at > end >= 0:
            raise BadDataError(f"{file.shown}: {at:,} bytes came where {end:,} were announced")

    def _check(self, answer: Answer, first: bytes) -> None:
        """Refuse a file that is not the one that the run was planned with."""
        if answer.start == 0 and first.lstrip(BLANKS).startswith(PAGE):
            raise BadDataError(
                f"{self._file.shown}: the server answers with a web page instead of the file; does"
                " it ask for a login, or has the file moved?"
            )
        self._compare(answer.facts)

    def _compare(self, facts: Facts) -> None:
        if change := self._file.facts.differs(facts):
            raise BadDataError(
                f"{self._file.shown}: its {change} has changed since the run was planned; start the"
                " same command again"
            )

    def _slow_down(self, number: int) -> None:
        """Wait until so many bytes are within the rate."""
        self.moved += number
        if self._manners.rate is not None:
            self._wait(self.moved / self._manners.rate - self.seconds)

    def _rest(self, failures: int, error: ServerError) -> None:
        """Pause after a failure, for as long as the server asks; give up after too many."""
        manners = self._manners
        if failures >= manners.attempts:
            raise TransientError(
                f"{error}; given up after {counted(failures, 'failure')} in a row"
            ) from error
        if error.wait > manners.longest_pause:
            raise TransientError(f"{error}; it asks to wait for {error.wait:,.0f} s") from error
        pause = min(manners.longest_pause, manners.pause * 2 ** (failures - 1))
        self._wait(max(pause, error.wait))

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._tick(0)
            time.sleep(min(left, 1.0))
