"""Worker processes of this machine: as many as were asked for, as long as there are tiles for them.

Dask's nanny starts a worker that is lost again, but gives up on one that dies while it starts, and
on itself if that was its first. Its cluster then has one worker less, in the end none. Here lost
workers are replaced, whatever became of them.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from distributed import LocalCluster, Nanny
from distributed.core import Status

from photoz_run.errors import HostError
from photoz_run.run.demand import Demand
from photoz_run.run.gpus import VISIBLE, least_used
from photoz_run.run.tile_log import node_name

LOOK_SECONDS, FIRST_SECONDS = 0.5, 0.02
"""How often workers are counted, and while the first starts."""

RETURN_SECONDS = 5.0
"""Time in which a nanny may start the worker that it lost again, until it is replaced itself."""

START_SECONDS = 120.0
"""Longest start of a worker, and longest absence of one whose process lives."""

STILLBORN = 3
"""So many starts in a row that fail, while there is no worker: this machine is at fault."""

PAUSE_SECONDS = 1.0
"""Pause after a start that failed; doubled for each further one, up to `LONGEST_PAUSE`."""

LONGEST_PAUSE = 30.0

END_SECONDS = 2.0
"""Time in which a worker may end by itself."""


@dataclass(eq=False)
class LocalWorker:
    """A nanny, which has the process of one worker, and when that was last seen at work."""

    name: str
    nanny: Nanny
    start: "asyncio.Task[Any]"
    gpu: str = ""
    """The one it computes on, if GPUs are shared out."""
    seen: float = field(default_factory=time.monotonic)
    came: bool = False
    """Whether the scheduler has ever known it."""

    @property
    def problem(self) -> str:
        """Why it did not start; empty if it did, or still starts."""
        error = self.start.exception() if self.start.done() else None
        return "" if error is None else reason(error)

    @property
    def lost(self) -> bool:
        """Whether it will not come (back)."""
        absent = time.monotonic() - self.seen
        if self.start.done() and (self.problem or self.nanny.status == Status.closed):
            return True
        if self.start.done() and not self.nanny.is_alive():
            return absent > RETURN_SECONDS
        return absent > START_SECONDS

    async def end(self) -> None:
        """End the process, by force if it does not obey, as one that was stopped."""
        if not self.start.done() and self.nanny.pid:
            with suppress(ProcessLookupError):
                os.kill(self.nanny.pid, signal.SIGKILL)
        # What a nanny has to say of an end that it did not expect is worth no word.
        with suppress(Exception):
            await asyncio.wait_for(asyncio.shield(self.start), END_SECONDS)
        with suppress(Exception):
            await self.nanny.close(timeout=END_SECONDS)


def reason(error: BaseException) -> str:
    """What this machine refused, in the errors that Dask makes of it; else the last of these."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return str(error).partition("\n")[0] or type(error).__name__


class LocalWorkers:
    """Keeps ``number`` workers of ``cluster``, but no more than ``demand`` has tiles for.

    Each sees one of ``gpus``, if there are any.
    """

    def __init__(
        self,
        cluster: LocalCluster,
        number: int,
        demand: Demand | None = None,
        gpus: Sequence[str] = (),
    ) -> None:
        self._cluster: Any = cluster
        self._number = number
        self._demand = demand
        self._gpus = gpus
        self._lost_on: list[str] = []
        self._workers: list[LocalWorker] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._names = count()
        self._failures = 0
        self._next_start = 0.0
        self._problem = ""
        self._keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the workers; return when the first is there.

        Raises
        ------
        HostError
            If none can be started.
        """
        while not any(worker.came for worker in self._workers):
            self._look()
            self._check()
            await asyncio.sleep(FIRST_SECONDS)
        self._keeping = asyncio.ensure_future(self._keep())

    async def close(self) -> None:
        """End all workers."""
        if self._keeping is not None:
            self._keeping.cancel()
        for worker in self._workers:
            self._end(worker)
        self._workers.clear()
        await asyncio.gather(*self._ending)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._look()
            try:
                self._check()
            except HostError as error:
                if self._demand is not None:
                    self._demand.give_up(error)

    def _look(self) -> None:
        """Count the workers, forget lost ones, and start what is missing."""
        here = {str(state.name) for state in self._cluster.scheduler.workers.values()}
        for worker in list(self._workers):
            if worker.name in here:
                worker.seen, worker.came = time.monotonic(), True
            elif worker.lost:
                self._workers.remove(worker)
                self._lost_on.append(worker.gpu)  # one that loses workers gets fewer
                self._note(worker)
                self._end(worker)
        if any(worker.came for worker in self._workers):
            self._failures = 0
        wanted = self._number if self._demand is None else min(self._number, self._demand.useful)
        if time.monotonic() >= self._next_start:
            while len(self._workers) < wanted:
                self._workers.append(self._start())

    def _note(self, worker: LocalWorker) -> None:
        """Count a worker that never came, and let the next one wait."""
        if worker.came:
            return
        self._problem = worker.problem or "it did not answer"
        pause = PAUSE_SECONDS * 2 ** min(self._failures, 9)
        self._failures += 1
        self._next_start = time.monotonic() + min(LONGEST_PAUSE, pause)

    def _check(self) -> None:
        """Raise if start after start fails and nobody works."""
        if self._failures >= STILLBORN and not self._workers:
            raise HostError(
                f"{node_name()} cannot start a worker process ({self._problem});"
                " photoz doctor looks for the reason, the same command resumes"
            )

    def _start(self) -> LocalWorker:
        name = f"local-{next(self._names)}"
        in_use = [worker.gpu for worker in self._workers]
        gpu = least_used(self._gpus, [*in_use, *self._lost_on]) if self._gpus else ""
        nanny = Nanny(
            self._cluster.scheduler.address,
            name=name,
            death_timeout=START_SECONDS,
            env={VISIBLE: gpu} if gpu else {},
            **self._cluster.new_spec["options"],
        )
        return LocalWorker(name, nanny, asyncio.ensure_future(nanny), gpu)

    def _end(self, worker: LocalWorker) -> None:
        task = asyncio.ensure_future(worker.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
