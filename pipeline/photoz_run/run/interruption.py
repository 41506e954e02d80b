"""Ending on a signal: the run stops where it is, and the same command resumes it. Light, so that it can come first."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from photoz_run.errors import InterruptedRunError

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


class _Signal(BaseException):
    """Raised by the handler; no error, so that nothing on the way that copes with errors overhears it."""


HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

AGAIN = 0.01
"""Seconds after which a signal is raised again that came where Python cannot raise, as in a destructor."""


@contextmanager
def interruptible(
    then: str = "finished tiles are kept, the same command resumes the run",
) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGUSR1 (a wall-time warning) end the block, with `InterruptedRunError`.

    ``then`` is what its message says of what has been done.
    """
    received: list[_Signal] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        for one in HANDLED:
            signal.signal(one, signal.SIG_IGN)
        received.append(_Signal(signal.Signals(number).name))
        raise received[0]

    def again(_number: int, _frame: FrameType | None) -> None:
        raise received[0]

    def unraisable(found: "UnraisableHookArgs") -> None:
        if not isinstance(found.exc_value, _Signal):
            previous_hook(found)
            return
        # Whatever is raised here is swallowed, too: a timer raises it a moment later, outside.
        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, AGAIN)

    previous_hook, sys.unraisablehook = sys.unraisablehook, unraisable
    previous = {one: signal.signal(one, stop) for one in HANDLED} | {
        signal.SIGALRM: signal.getsignal(signal.SIGALRM)
    }
    try:
        yield
    except BaseException:
        # Imports and libraries turn what a signal raises into errors of their own: none of them is worth a word.
        if not received:
            raise
    finally:
        if received:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for one, handler in previous.items():
            signal.signal(one, handler)
        sys.unraisablehook = previous_hook
    if received:
        raise InterruptedRunError(f"stopped by {received[0]}; {then}")
