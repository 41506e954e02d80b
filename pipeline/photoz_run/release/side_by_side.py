"""Work of one command side by side in threads: numpy, Arrow and hashlib let others run."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

THREADS = min(8, os.cpu_count() or 1)


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
