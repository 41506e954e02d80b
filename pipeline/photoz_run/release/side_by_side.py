"""Work of one command side by side in threads: numpy, Arrow and hashlib let others run."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

THREADS = min(8, os.cpu_count() or 1)
BEHIND = 6
"""Pieces of work that may wait in one thread: what is slow now and then holds up nobody."""


def in_background(work: Callable[[], T]) -> "Future[T]":
    """Start ``work`` in a thread that ends with the command: Ctrl-C need not wait for it."""
    future: Future[T] = Future()

    def settle() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=settle, daemon=True).start()
    return future


def one_ahead(values: Iterable[T], threads: ThreadPoolExecutor) -> Iterator[T]:
    """The same values; while one is used, the next is made."""
    source = iter(values)
    coming = threads.submit(next, source, None)
    while (value := coming.result()) is not None:
        coming = threads.submit(next, source, None)
        yield value


class InTurn(Generic[P]):
    """Work in a thread of its own, piece by piece in order, some pieces behind its caller.

    Whoever is done with it leaves the block of ``with``.
    """

    def __init__(self, work: Callable[P, object]) -> None:
        self._work = work
        self._thread = ThreadPoolExecutor(1)
        self._pending: deque[Future[object]] = deque()

    def add(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Hand over the next piece; waits for one if `BEHIND` are not done. Raises its error."""
        if len(self._pending) == BEHIND:
            self._pending.popleft().result()
        self._pending.append(self._thread.submit(self._work, *args, **kwargs))

    def finish(self) -> None:
        """Wait until all pieces are done; raises the error of the first that failed."""
        while self._pending:
            self._pending.popleft().result()

    def __enter__(self) -> "InTurn[P]":
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(cancel_futures=True)
