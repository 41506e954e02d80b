"""Handing out tiles: one to each free worker, never more, so that a lost worker names the tile that was on it.

The scheduler never holds more tasks than there are workers: its memory does not grow with the survey.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from pipeline.errors import ConfigError, InterruptedRunError, PhotozError
from pipeline.records import Failure, Status, TileOutcome
from pipeline.run.hosts import Hosts
from pipeline.run.tile_log import node_name, now
from pipeline.run.worker import LOST_WORKER, Refusal, TileTask, blank_outcome, run_tile

LOOK_SECONDS = 1.0
"""How often workers are counted."""


@dataclass(frozen=True)
class Workers:
    """The workers that live: their addresses with the tiles each can take, and the host of each."""

    slots: dict[str, int]
    hosts: dict[str, str]

    def usable(self, avoided: Sequence[str]) -> list[str]:
        """Addresses on hosts that are not avoided."""
        return [address for address in self.slots if self.hosts[address] not in avoided]


class Handed(NamedTuple):
    """A task that was handed out, and the address of the worker that it is for."""

    task: TileTask
    worker: str


class Dispatcher:
    """Hands out tasks to the workers of a client; `outcomes` yields how each tile ended."""

    def __init__(self, tasks: Sequence[TileTask], say: Callable[[str], None]) -> None:
        self._waiting = deque(tasks)
        self._running: dict[Future[Any], Handed] = {}
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()
        self._quarantined: dict[str, TileTask] = {}
        self._hosts = Hosts()
        self._names: dict[str, str] = {}
        self._workers = Workers({}, {})
        self._looked = -LOOK_SECONDS
        self._avoided: dict[str, str] = {}
        self._number = count()
        self._trouble: PhotozError | None = None
        self.say = say

    @property
    def left(self) -> int:
        """Tiles that have no outcome yet."""
        return len(self._waiting) + len(self._running)

    @property
    def workers(self) -> int:
        """Workers that live."""
        return len(self._workers.slots)

    def give_up(self, error: PhotozError) -> None:
        """Let `outcomes` end with an error; called where workers are started."""
        self._trouble = error

    def state(self) -> dict[str, Any]:
        """Workers and tiles as they are now, for those who watch the run."""
        return {
            "workers": self.workers,
            "running": [handed.task.ref.tile for handed in self._running.values()],
            "failed": [task.ref.tile for task in self._waiting if task.earlier],
        }

    def outcomes(self, client: Client, beat: Callable[[], None]) -> Iterator[TileOutcome]:
        """How each tile ended, as they come; ``beat`` is called about every second.

        A tile can come twice: one that was quarantined by a host that turned out to fail everything is measured again.

        Raises
        ------
        PhotozError
            If no worker can measure any tile, or none can be had; what is said of it.
        InterruptedRunError
            If the scheduler is lost.
        """
        while self.left:
            if time.monotonic() - self._looked >= LOOK_SECONDS:
                self._look(client)
                beat()
            self._hand_out(client)
            try:
                future = self._done.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            handed = self._running.pop(future, None)
            outcome = self._settle(future, handed.task) if handed else None
            if outcome is not None:
                yield outcome

    def _look(self, client: Client) -> None:
        """Count the workers, learn the hosts of new ones, and decide which hosts are avoided."""
        self._looked = time.monotonic()
        if self._trouble:
            raise self._trouble
        try:
            slots = client.nthreads()
            new = [address for address in slots if address not in self._names]
            if new:
                self._names |= client.run(node_name, workers=new, on_error="ignore")
        except (OSError, ValueError) as error:
            raise self._lost_scheduler() from error
        if client.status != "running":
            raise self._lost_scheduler()
        self._take_back(slots)
        self._workers = Workers(slots, {address: self._host(address) for address in slots})
        self._judge_hosts()

    def _take_back(self, slots: Mapping[str, int]) -> None:
        """Tiles whose worker has left and told nobody of them, as one that retires, wait again; none is to blame.

        A worker that was lost is told of within less than the time between two looks.
        """
        for future, handed in list(self._running.items()):
            if handed.worker not in slots and handed.worker not in self._workers.slots and not future.done():
                del self._running[future]
                future.cancel()
                self._waiting.appendleft(handed.task)

    def _judge_hosts(self) -> None:
        living = set(self._workers.hosts.values())
        self._hosts.check_any_left(living)
        avoided = self._hosts.avoided(living)
        for host in avoided.keys() - self._avoided.keys():
            self.say(f"host {host} gets no more tiles: {avoided[host]}")
            for tile in self._hosts.suspects(host):
                if tile in self._quarantined:
                    self._waiting.appendleft(self._quarantined.pop(tile))
        self._avoided = avoided

    def _hand_out(self, client: Client) -> None:
        free = self._free()
        while free and self._waiting:
            task = self._waiting.popleft()
            tried = [failure.host.partition(":")[0] for failure in task.earlier]
            # Not the host of an earlier failure, but better there than behind a tile that lasts.
            worker = next((one for one in free if self._workers.hosts[one] not in tried), free[0])
            free.remove(worker)
            key = f"{task.ref.tile}-{next(self._number)}"
            future = client.submit(run_tile, task, key=key, pure=False, workers=[worker])
            self._running[future] = Handed(task, worker)
            future.add_done_callback(self._done.put)

    def _free(self) -> list[str]:
        """Addresses of workers that could take a tile now, one for each tile."""
        slots = {address: self._workers.slots[address] for address in self._workers.usable(tuple(self._avoided))}
        busy = Counter(handed.worker for handed in self._running.values())
        return list((Counter(slots) - busy).elements())

    def _settle(self, future: "Future[Any]", task: TileTask) -> TileOutcome | None:
        """The outcome of a tile, or ``None`` if it is tried again."""
        if future.cancelled():
            raise self._lost_scheduler()
        error = future.exception()
        if isinstance(error, KilledWorker):
            return self._settle_loss(task, self._host(error.last_worker.address))
        if isinstance(error, ImportError):
            raise ConfigError(f"the workers cannot import photoz-run ({error}): install the same version there")
        if error is not None:
            raise error
        result: TileOutcome | Refusal = future.result()
        host = result.host.partition(":")[0]
        if isinstance(result, Refusal):
            self._hosts.refused(host, result.error)
            self._waiting.appendleft(task)
            self._looked = -LOOK_SECONDS
            return None
        if result.status in (Status.DONE, Status.NO_WORK):
            self._hosts.succeeded(host)
            return result
        self._hosts.failed(host, task.ref.tile)
        again = task.after(Failure(host, result.error, result.reason))
        if result.status is Status.FAILED:
            self._waiting.appendleft(again)
            return None
        self._quarantined[task.ref.tile] = again
        return result

    def _settle_loss(self, task: TileTask, host: str) -> TileOutcome | None:
        reason = f"{task.ref.tile}: the worker process on {host} was lost while it measured this tile"
        failure = Failure(host, LOST_WORKER, reason)
        self._hosts.failed(host, task.ref.tile)
        self._looked = -LOOK_SECONDS
        if not task.last:
            self._waiting.appendleft(task.after(failure))
            return None
        hosts = Counter(one.host for one in (*task.earlier, failure) if one.error == LOST_WORKER)
        where = ", ".join(f"{name} {number} times" for name, number in hosts.items())
        return replace(
            blank_outcome(task),
            status=Status.QUARANTINED,
            ended=now(),
            error=LOST_WORKER,
            reason=f"{task.ref.tile}: its worker was lost each time ({where}); out of memory, or nodes taken away",
        )

    def _host(self, address: str) -> str:
        return self._names.get(address) or address.rpartition("/")[2].partition(":")[0]

    def _lost_scheduler(self) -> InterruptedRunError:
        return InterruptedRunError("the Dask scheduler is lost; finished tiles are kept, the same command resumes")
