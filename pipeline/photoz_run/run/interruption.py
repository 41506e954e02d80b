"""Ending on a signal: the run stops where it is, and the same command resumes it.

Commands import this module first, so that it imports little.
"""

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
    """Raised by the handler.

    It is no `Exception`: nothing that copes with errors on the way can swallow it.
    """


HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

AGAIN = 0.01
"""Seconds until a signal is raised again that came where Python cannot raise.

A destructor is such a place.
"""


@contextmanager
def interruptible(
    then: str = "finished tiles are kept, the same command resumes the run",
) -> Iterator[None]:
    """SIGTERM, SIGINT and SIGUSR1 (a wall-time warning) end the block, with `InterruptedRunError`.

    ``then`` is what its message says of what has been done.
    """
    received: list[_Signal] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        for handled in HANDLED:
            signal.signal(handled, signal.SIG_IGN)
        received.append(_Signal(signal.Signals(number).name))
        raise received[0]

    def again(_number: int, _frame: FrameType | None) -> None:
        raise received[0]

    def unraisable(swallowed: "UnraisableHookArgs") -> None:
        if not isinstance(swallowed.exc_value, _Signal):
            previous_hook(swallowed)
            return
        # What is raised here is swallowed, too. A timer raises it a moment later, outside.
        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, AGAIN)

    previous_hook, sys.unraisablehook = sys.unraisablehook, unraisable
    previous = {number: signal.signal(number, stop) for number in HANDLED}
    previous[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
    try:
        yield
    except BaseException:
        # Imports and libraries turn what a signal raises into errors of their own.
        # None of them is worth a word.
        if not received:
            raise
    finally:
        if received:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)
        sys.unraisablehook = previous_hook
    if received:
        raise InterruptedRunError(f"stopped by {received[0]}; {then}")
