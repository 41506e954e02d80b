"""Ending on a signal: the run stops where it is, and the same command resumes it. Light, so that it can come first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.errors import InterruptedRunError


class _Signal(BaseException):
    """Raised by the handler; no error, so that nothing on the way that copes with errors overhears it."""


HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@contextmanager
def interruptible(then: str = "finished tiles are kept, the same command resumes the run") -> Iterator[None]:
    """SIGTERM, SIGINT and SIGUSR1 (a wall-time warning) end the block, with `InterruptedRunError`.

    ``then`` is what its message says of what has been done.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for one in HANDLED:
            signal.signal(one, signal.SIG_IGN)
        raise _Signal(signal.Signals(number).name)

    previous = {one: signal.signal(one, stop) for one in HANDLED}
    try:
        yield
    except _Signal as name:
        raise InterruptedRunError(f"stopped by {name}; {then}") from None
    finally:
        for one, handler in previous.items():
            signal.signal(one, handler)
