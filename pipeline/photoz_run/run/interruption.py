"""Ending on a signal: a command stops where it is, in one line, and says what the same one does.

Commands import this module first, so that it imports little.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from photoz_run.errors import InterruptedRunError

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

MODULE = "__main__.py"
"""The name of a command that was started as ``python -m photoz_run``."""

INTERRUPTED = 75
"""Exit status, as `photoz_run.errors.ExitCode` has it."""


class _Interruption:
    """What has come since a block began, and how the process leaves it."""

    def __init__(self, then: str) -> None:
        self._then = then
        self._deadline: SimpleQueue[float | None] = SimpleQueue()
        self.received: _Signal | None = None

    @property
    def words(self) -> str:
        """The one line."""
        return f"stopped by {self.received}; {self._then}"

    def begin(self) -> None:
        """Handle signals."""
        # Not in the handler: a thread cannot be started while another one is.
        threading.Thread(target=self._watch, daemon=True, name="deadline").start()
        self._hook, sys.unraisablehook = sys.unraisablehook, self._unraisable
        self._handlers = {number: signal.signal(number, self._stop) for number in HANDLED}
        self._handlers[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)

    def end(self) -> None:
        """Handle signals as before."""
        self._deadline.put(None)
        if self.received:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._hook

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        for handled in HANDLED:
            signal.signal(handled, signal.SIG_IGN)
        self.received = _Signal(signal.Signals(number).name)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, lambda *_: self._leave_now())
        self._deadline.put(AFTER_INTERRUPT if number == signal.SIGINT else AFTER_WARNING)
        raise self.received

    def _watch(self) -> None:
        """Leave if the block does not end in time after a signal."""
        seconds = self._deadline.get()
        if seconds is None:
            return
        try:
            self._deadline.get(timeout=seconds)
        except Empty:
            self._leave_now()

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

    def _leave_now(self) -> None:
        name = os.path.basename(sys.argv[0])
        command = "photoz" if name == MODULE else name
        leave(INTERRUPTED, f"{command}: {self.words}\n")


@contextmanager
def interruptible(
    then: str = "finished tiles are kept, the same command resumes the run",
) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGUSR1 (a wall-time warning) end the block, with `InterruptedRunError`.

    ``then`` is what its message says of what has been done. A second SIGINT ends the process at
    once, and so does the first if the block is not left `AFTER_INTERRUPT` seconds later. After
    other signals that takes `AFTER_WARNING` seconds: worker jobs have to be cancelled.
    """
    interruption = _Interruption(then)
    interruption.begin()
    try:
        yield
    except BaseException:
        # Imports and libraries turn what a signal raises into errors of their own.
        # None of them is worth a word.
        if not interruption.received:
            raise
    finally:
        interruption.end()
    if interruption.received:
        raise InterruptedRunError(interruption.words)


def leave(exit_status: int, last: str = "") -> NoReturn:
    """End this process and all that it has started, without the exit handlers of libraries.

    Other threads may say something until then: the ``last`` words come after theirs.
    """
    import psutil

    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError):
            stream.flush()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()
    with suppress(OSError):
        os.write(2, last.encode())
    os._exit(exit_status)
