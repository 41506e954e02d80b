"""Ctrl-C reaches every process of a terminal; only the one that was called answers, in its way."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def children_undisturbed() -> Iterator[None]:
    """Processes, and threads, that are started in the block never see SIGINT.

    A process inherits what its starter blocks. An interpreter that is told to ignore the signal
    can do so only after it has started, and until then dies of it with a traceback.
    """
    # Python's tracker unblocks SIGINT in the thread that starts it, whatever was blocked there.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def handler_kept() -> Iterator[None]:
    """What is imported in the block does not change what SIGINT does."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)
