"""Ctrl-C reaches every process of a terminal; only the one that was called has an answer to it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def children_undisturbed() -> Iterator[None]:
    """Processes, and threads, that are started in the block never see SIGINT.

    A process inherits what its starter blocks. An interpreter that is told to ignore the signal
    can do so only after it has started, and until then dies of it with a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
