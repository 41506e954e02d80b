"""Child processes that unpack, kept as long as this process; after a failure a fresh copy works."""

import atexit
import json
import mmap
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import BadDataError

CPU_SECONDS = 30
"""Of one strip, which takes a tenth of a second; a damaged one can keep the decompressor busy
without end."""

WALL_SECONDS = 600.0
"""Of one strip: storage may be slow, but not so slow."""


@dataclass(frozen=True)
class Strip:
    """Rows ``start`` to ``stop`` of the image in an HDU of a file.

    ``spans`` are those of them that are unpacked, ``room`` the bytes they can take at most.
    """

    path: Path
    extension: int
    start: int
    stop: int
    spans: Sequence[tuple[int, int]]
    room: int


class Unpacker:
    """One child process, started when it is first needed."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._descriptor = -1
        self._memory: mmap.mmap | None = None

    def rows(self, strip: Strip, seconds: int = CPU_SECONDS) -> NDArray[Any]:
        """The stored numbers of a strip.

        Raises
        ------
        BadDataError
            If they cannot be unpacked, or not within the limits of time and memory.
        """
        child = self._started()
        memory = self._memory_for(strip.room)
        request = {
            "path": str(strip.path),
            "extension": strip.extension,
            "start": strip.start,
            "stop": strip.stop,
            "spans": strip.spans,
            "room": strip.room,
            "mapped": len(memory),
            "seconds": seconds,
        }
        assert child.stdin is not None
        assert child.stdout is not None
        why = "the process that unpacks it was ended by others"
        try:
            child.stdin.write(json.dumps(request) + "\n")
            child.stdin.flush()
            in_time, _, _ = select.select([child.stdout], [], [], WALL_SECONDS)
            if not in_time:
                why = f"no answer within {WALL_SECONDS:.0f} s"
            line = child.stdout.readline() if in_time else ""
        except BrokenPipeError:
            line = ""
        if not line:
            self.close()
            raise BadDataError(_damaged(strip, why))
        answer = json.loads(line)
        if "ended" in answer:
            raise BadDataError(_damaged(strip, _why_it_ended(answer["ended"], seconds)))
        if "error" in answer:
            raise BadDataError(_damaged(strip, answer["error"]))
        count = int(np.prod(answer["shape"]))
        stored: NDArray[Any] = np.frombuffer(memory, answer["dtype"], count)
        return stored.reshape(answer["shape"]).copy()

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            # Its copies are of its group.
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.communicate()
            self._child = None
            self._memory = None
            os.close(self._descriptor)

    def _memory_for(self, size: int) -> mmap.mmap:
        """Memory that is shared with the child; it grows and never shrinks."""
        if self._memory is None or len(self._memory) < size:
            os.ftruncate(self._descriptor, size)
            self._memory = mmap.mmap(self._descriptor, size)
        return self._memory

    def _started(self) -> subprocess.Popen[str]:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._descriptor = os.memfd_create("photoz-strip")
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "photoz_run.images.unpacker", str(self._descriptor)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[self._descriptor],
                process_group=0,
                text=True,
            )
        return self._child


class UnpackerPool:
    """Several children, each with a thread of this process that talks to it."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="unpack")
        self._unpackers: Sequence[Unpacker] = [Unpacker() for _ in range(count)]
        self._free: SimpleQueue[Unpacker] = SimpleQueue()
        for unpacker in self._unpackers:
            self._free.put(unpacker)

    def submit(self, strip: Strip) -> "Future[NDArray[Any]]":
        """Unpack a strip as soon as a child is free."""
        return self._threads.submit(self._rows, strip)

    def close(self) -> None:
        """End all children."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for unpacker in self._unpackers:
            unpacker.close()

    def _rows(self, strip: Strip) -> NDArray[Any]:
        unpacker = self._free.get()
        try:
            return unpacker.rows(strip)
        finally:
            self._free.put(unpacker)


@cache
def unpackers(count: int) -> UnpackerPool:
    """The pool of this process with ``count`` children; they start when they are first needed."""
    pool = UnpackerPool(count)
    atexit.register(pool.close)
    return pool


def _damaged(strip: Strip, why: str) -> str:
    return (
        f"{strip.path}: rows {strip.start} to {strip.stop} cannot be unpacked ({why});"
        " it is damaged, copy it again"
    )


def _why_it_ended(status: int, seconds: int) -> str:
    if status == -signal.SIGXCPU:
        return f"unpacking did not end within {seconds} s of computing"
    return f"the library that unpacks it was ended by {_signal_name(-status)}"


def _signal_name(number: int) -> str:
    known = number in {int(one) for one in signal.Signals}
    return signal.Signals(number).name if known else f"exit status {-number}"
