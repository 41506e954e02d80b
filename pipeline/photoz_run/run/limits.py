"""Limits of a worker: time and memory, and what its host may lack.

They end or excuse a tile however deep in a library it is.
"""

import errno
import faulthandler
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from photoz_run.errors import HostError
from photoz_run.run import machine
from photoz_run.run.task import TileTask
from photoz_run.run.tile_log import TileLog, node_name
from photoz_run.sizes import memory_bytes
from photoz_run.wording import counted

LACKS = {
    errno.EMFILE: "too many open files, ulimit -n",
    errno.ENFILE: "too many open files on the machine",
}
"""Errors by which a host, or the worker on it, lacks something; no tile is to blame."""

LEAST_MEMORY = 4 << 30
"""A worker may take as much, however many share the machine: pages that were asked for count."""

LITTLE_MEMORY = 1 << 30
"""With less free memory than this the machine is to blame for an allocation that failed."""


def check_open_files(workers: int, beside: bool) -> None:
    """Raise the limit of open files to what a driver needs; ``beside`` it live its workers, or not.

    Raises
    ------
    HostError
        If it may not be raised so far.
    """
    each = machine.FILES_LOCAL if beside else machine.FILES_REMOTE
    needed = machine.FILES_OWN + each * workers
    allowed = machine.allow_open_files(max(needed, machine.ENOUGH_FILES))
    if allowed < needed:
        raise HostError(
            f"{node_name()} allows {allowed} open files, {needed} are needed for"
            f" {counted(workers, 'worker')}: give fewer --workers, or raise ulimit -n"
        )


@contextmanager
def ended_after(task: TileTask, log: TileLog) -> Iterator[None]:
    """End this process if the block takes longer than the task may.

    A thread without the interpreter's lock does it, whatever library hangs. Where it hangs stands
    in the log of the tile.
    """
    faulthandler.dump_traceback_later(task.limit, exit=True, file=log.file)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def limit_memory(task: TileTask, provider: str) -> None:
    """Let allocations beyond the worker's share fail, instead of the machine's next one.

    Mapped coadds do not count. A GPU's libraries reserve what they never use: where ``provider``,
    the one really in use, is ``cuda``, there is no limit.
    """
    if provider == "cuda":
        return
    chosen = task.config.worker_memory
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    share = machine.memory_limit(os.environ).bytes // task.sharing
    limit = memory_bytes(chosen) if chosen else max(LEAST_MEMORY, share)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def lacking(error: BaseException) -> str:
    """What the host lacked for the error to happen; empty if nothing is known to be lacking."""
    for cause in _causes(error):
        if isinstance(cause, HostError):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno in LACKS:
            return LACKS[cause.errno]
        if isinstance(cause, RuntimeError) and "start new thread" in str(cause):
            return "no more threads, ulimit -u"
    if out_of_memory(error) and machine.free_memory() < LITTLE_MEMORY:
        return "no memory is free"
    return ""


def out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed."""
    return any(
        isinstance(cause, MemoryError)
        or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
