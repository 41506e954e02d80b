"""Ending on a signal: a command stops where it is, in one line, and says what the same one does.

Commands import this module first, so that it imports little.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from photoz_run.errors import ExitCode, StoppedRunError

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


class _Signal(BaseException):
    """Raised by the handler.

    It is no `Exception`: nothing that copes with errors on the way can swallow it.
    """


HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

AGAIN = 0.01
"""Seconds until a signal is raised again that came where Python cannot raise.

A destructor is such a place.
"""

AFTER_INTERRUPT, AFTER_WARNING = 4.0, 60.0
"""Seconds after a signal such as Ctrl-C to put in order what was begun; then the process ends."""

UNREAD = 0.5
"""Seconds that a reader of what was printed has to take it before the process ends."""

MODULE = "__main__.py"
"""The name of a command that was started as ``python -m photoz_run``."""

ENDED, TIME_IS_UP = 0, -1
"""What the watching thread hears besides numbers of signals."""


class _Interruption:
    """The signals of a process: what has come, what is said of it, and how the process ends."""

    def __init__(self, then: str) -> None:
        self.words = ""
        self.received: _Signal | None = None
        self.ended = False
        self._then = [then]
        self._late: int | None = None

    @property
    def line(self) -> str:
        """What the process says last."""
        name = os.path.basename(sys.argv[0])
        return f"{'photoz' if name == MODULE else name}: {self.words}\n"

    @contextmanager
    def block(self, then: str) -> Iterator[None]:
        """End with `StoppedRunError`, which says ``then``, if a signal came."""
        self._then.append(then)
        try:
            yield
        except BaseException:
            # Imports and libraries turn what a signal raises into errors of their own.
            # None of them is worth a word.
            if not self.received:
                raise
        finally:
            self._then.pop()
        if self.received:
            raise StoppedRunError(self.words)

    def begin(self) -> None:
        """Handle signals."""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # Not in the handler: a thread cannot be started while another one is.
        threading.Thread(target=self._watch, daemon=True, name="signals").start()
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, self._stop) for number in HANDLED}
        self._handlers[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)

    def end(self) -> None:
        """Handle signals as before; one that comes meanwhile is handled afterwards."""
        if self.received:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.write(self._writer, bytes([ENDED]))
        sys.unraisablehook = self._hook
        global _of_process
        _of_process = None
        if self._late:
            signal.raise_signal(self._late)

    def _hear(self, number: int) -> None:
        # What holds is what held when the first signal came.
        self.words = self.words or f"stopped by {signal.Signals(number).name}; {self._then[-1]}"

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        for handled in HANDLED:
            # The thread hears of a second SIGINT only if that has a handler.
            ignore = signal.SIG_IGN if handled != signal.SIGINT else lambda *_: None
            signal.signal(handled, ignore)
        if self.ended:
            self._late = number
            return
        self._hear(number)
        self.received = _Signal()
        raise self.received

    def _watch(self) -> None:
        """Leave if the process does not in time after a signal, or if SIGINT comes again.

        This thread hears of signals at once, also while the main thread waits for storage that
        never answers, where Python calls no handler.
        """
        first = self._next(None)
        if first == ENDED:
            return
        self._hear(first)
        seconds = AFTER_INTERRUPT if first == signal.SIGINT else AFTER_WARNING
        end = time.monotonic() + seconds
        leaves = {TIME_IS_UP, first} if first == signal.SIGINT else {TIME_IS_UP}
        while (number := self._next(end)) != ENDED:
            if number in leaves:
                _leave(self.line)

    def _next(self, end: float | None) -> int:
        """The next signal that is handled, `ENDED` or, at the time ``end``, `TIME_IS_UP`."""
        while True:
            seconds = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._reader], [], [], seconds)[0]:
                return TIME_IS_UP
            number = os.read(self._reader, 1)[0]
            if number == ENDED:
                os.close(self._reader)
                os.close(self._writer)
            if number == ENDED or number in HANDLED:
                return number

    def _again(self, _number: int, _frame: FrameType | None) -> None:
        assert self.received is not None
        raise self.received

    def _unraisable(self, swallowed: "UnraisableHookArgs") -> None:
        if not isinstance(swallowed.exc_value, _Signal):
            self._hook(swallowed)
            return
        # What is raised here is swallowed, too. A timer raises it a moment later, outside.
        signal.signal(signal.SIGALRM, self._again)
        signal.setitimer(signal.ITIMER_REAL, AGAIN)


_of_process: _Interruption | None = None
"""What handles the signals of this process now; blocks within others share it."""


@contextmanager
def interruptible(
    then: str = "finished tiles are kept, the same command resumes the run",
) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGUSR1 (a wall-time warning) end the block, with `StoppedRunError`.

    ``then`` is what its message says of what has been done. A second SIGINT ends the process at
    once, and so does the first if the outermost block is not left `AFTER_INTERRUPT` seconds
    later. After other signals that takes `AFTER_WARNING` seconds: worker jobs have to be
    cancelled.
    """
    with _of_process.block(then) if _of_process else _handled(then):
        yield


def run_to_a_signal(command: Callable[[], None], then: str) -> None:
    """Run the command of a process; a signal ends the process in one line, as `interruptible`.

    Once a signal came, what a further one does stays the same until the process has ended.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Where nothing more is to be said, Ctrl-C ends the process without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    interruption = _begin(then)
    try:
        with interruption.block(then):
            command()
    except (StoppedRunError, _Signal):
        _leave(interruption.line)
    except SystemExit as ended:
        if ended.code == ExitCode.INTERRUPTED:
            _leave()
        raise
    finally:
        interruption.ended = True
        interruption.end()


@contextmanager
def _handled(then: str) -> Iterator[None]:
    interruption = _begin(then)
    try:
        with interruption.block(then):
            yield
    except _Signal:  # one that came while the block was left
        raise StoppedRunError(interruption.words) from None
    finally:
        interruption.ended = True
        interruption.end()


def _begin(then: str) -> _Interruption:
    global _of_process
    _of_process = _Interruption(then)
    _of_process.begin()
    return _of_process


_leaving = threading.Lock()
"""Held by the thread that says the last words of the process."""


def _leave(last: str = "") -> NoReturn:
    """End this process and all that it has started, without the exit handlers of libraries.

    Other threads may say something until then: the ``last`` words come after theirs.
    """
    import psutil

    # A thread of its own: whoever reads what was printed may have stopped doing so.
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(UNREAD)
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()
    _leaving.acquire()
    with suppress(OSError):
        os.write(2, last.encode())
    os._exit(ExitCode.INTERRUPTED)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):
            stream.flush()
