"""Handing out tiles: one to each free worker, so that a lost worker names its tile.

The scheduler never has more tasks than there are workers: its memory does not grow with the survey.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from photoz_run.errors import (
    ContractError,
    HostError,
    InterruptedRunError,
    OutputError,
    PhotozError,
)
from photoz_run.records import Failure, Status, TileOutcome
from photoz_run.run.hosts import Hosts
from photoz_run.run.task import LOST_WORKER, OUT_OF_MEMORY, TileTask, Try, time_limit
from photoz_run.run.worker import Refusal, introduce, run_tile

LOOK_SECONDS = 1.0
"""How often workers are counted."""

BACKOFF_SECONDS = 2.0
"""Pause before a tile's second try, and of a worker on which a try failed.

It is doubled for each further failure, up to `LONGEST_PAUSE`.
"""

LONGEST_PAUSE = 60.0

STRIKES = 5
"""A host that lacks something so often, with a pause after each time, gets no more tiles."""


@dataclass(frozen=True)
class Workers:
    """The workers that live, by address."""

    slots: dict[str, int]
    """Tiles that each can take at once."""
    hosts: dict[str, str]

    def free(self, busy: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """Address and host of each worker, once for each tile that it can take now."""
        for address, slots in self.slots.items():
            for _ in range(slots - busy.get(address, 0)):
                yield address, self.hosts[address]


@dataclass(frozen=True)
class Running:
    """A task that is with a worker, and since when."""

    task: TileTask
    address: str
    since: float = field(default_factory=monotonic)

    @property
    def seconds(self) -> float:
        """For how long."""
        return monotonic() - self.since


class Dispatcher:
    """Hands out tasks to the workers of a client; `outcomes` yields how each tile ended.

    Parameters
    ----------
    tasks
        The first try of each tile.
    say
        Is told what an operator should know.
    readmit
        Is told each quarantined tile that is measured again.
    patience
        Seconds for which refusing hosts do not end the run: others may be about to start.
    longest_wait
        Seconds without any worker that end the run.
    """

    def __init__(
        self,
        tasks: Sequence[TileTask],
        say: Callable[[str], None],
        readmit: Callable[[str], None],
        patience: float = 0.0,
        longest_wait: float = math.inf,
    ) -> None:
        self._waiting = deque(tasks)
        self._running: dict[Future[Any], Running] = {}
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()
        self._quarantined: dict[str, TileTask] = {}
        self._hosts = Hosts()
        self._names: dict[str, str] = {}
        self._workers = Workers({}, {})
        self._looked = -LOOK_SECONDS
        self._avoided: dict[str, str] = {}
        self._number = count()
        self._trouble: PhotozError | None = None
        self._due: dict[str, float] = {}
        self._stumbles: Counter[str] = Counter()
        self.say = say
        self._readmit = readmit
        self._patience = patience
        self._refused_since: float | None = None
        self._longest_wait = longest_wait
        self._alone_since = monotonic()
        self._strikes: Counter[str] = Counter()
        self._longest: float | None = None

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

    @property
    def running(self) -> tuple[str, ...]:
        """Tiles that are with workers."""
        return tuple(running.task.ref.tile for running in self._running.values())

    @property
    def failed(self) -> tuple[str, ...]:
        """Tiles that wait for another try."""
        return tuple(task.ref.tile for task in self._waiting if task.earlier)

    def outcomes(self, client: Client, beat: Callable[[], None]) -> Iterator[TileOutcome]:
        """How each tile ended, as they come; ``beat`` is called about every second.

        A tile can come twice. One that was quarantined is measured again if its host turns out to
        fail every tile.

        Raises
        ------
        PhotozError
            If no worker can measure any tile, or no worker can be had.
        InterruptedRunError
            If the scheduler is lost, or no worker was there for long.
        """
        while self.left or self._doubt(client):
            if monotonic() - self._looked >= LOOK_SECONDS:
                self._look(client)
                beat()
            self._hand_out(client)
            try:
                outcome = self._settle(self._done.get(timeout=LOOK_SECONDS))
            except Empty:
                continue
            if outcome is not None:
                yield outcome

    def _look(self, client: Client) -> None:
        """Count the workers, learn the hosts of new ones, and decide which hosts are avoided."""
        self._looked = monotonic()
        if self._trouble:
            raise self._trouble
        try:
            slots = client.nthreads()
            new = [address for address in slots if address not in self._names]
            if new:
                self._meet(client.run(introduce, workers=new, on_error="return"))
        except (OSError, ValueError) as error:
            raise self._lost_scheduler() from error
        if client.status != "running":
            raise self._lost_scheduler()
        self._check_presence(bool(slots))
        self._take_back(slots)
        met = {address: number for address, number in slots.items() if address in self._names}
        self._workers = Workers(met, {address: self._names[address] for address in met})
        self._judge_hosts()

    def _check_presence(self, anybody: bool) -> None:
        """Raise if there has been no worker for too long."""
        if anybody:
            self._alone_since = monotonic()
        elif monotonic() - self._alone_since >= self._longest_wait:
            raise InterruptedRunError(
                f"no worker for {self._longest_wait / 60:.3g} min (worker_wait);"
                " finished tiles are kept, the same command resumes"
            )

    def _meet(self, answers: Mapping[str, Any]) -> None:
        """Note the hosts of new workers, and those that lack the program of this run."""
        _, ours = introduce()
        for address, answer in answers.items():
            if isinstance(answer, OSError):  # gone again
                continue
            if isinstance(answer, tuple):
                host, program = answer
                problem = f"has photoz-run {program}"
            else:
                host, program = _network_name(address), ""
                problem = f"cannot import photoz-run ({answer})"
            self._names[address] = host
            if program != ours:
                error = ContractError(
                    f"{host} {problem}, the run was planned with {ours}:"
                    " install the same everywhere"
                )
                self._hosts.refused(host, error)

    def _take_back(self, slots: Mapping[str, int]) -> None:
        """Let tiles wait again whose worker has left without a word, as one that retires does.

        No tile is to blame. Of a worker that was lost the scheduler tells before the second look.
        """
        here = slots.keys() | self._workers.slots.keys()
        for future, running in list(self._running.items()):
            if running.address not in here and not future.done():
                del self._running[future]
                future.cancel()
                self._waiting.appendleft(running.task)

    def _judge_hosts(self, last: bool = False) -> None:
        """Decide which hosts are avoided; what they quarantined is measured again."""
        living = set(self._workers.hosts.values())
        self._check_refusals(living)
        for tile in self._hosts.judge(living, last):
            if tile in self._quarantined:
                self._waiting.appendleft(self._quarantined.pop(tile))
                self._readmit(tile)
        avoided = self._hosts.avoided(living)
        for host in sorted(avoided.keys() - self._avoided.keys()):
            self.say(f"host {host} gets no tiles for now: {avoided[host]}")
        self._avoided = avoided

    def _check_refusals(self, living: Collection[str]) -> None:
        """Raise what every worker said, unless others may come."""
        error = self._hosts.refusal(living)
        if error is None:
            self._refused_since = None
            return
        self._refused_since = self._refused_since or monotonic()
        if isinstance(error, OutputError) or monotonic() - self._refused_since >= self._patience:
            raise error

    def _doubt(self, client: Client) -> bool:
        """Whether tiles that were quarantined have to be measured again, before the run ends."""
        if self._quarantined:
            self._look(client)
            self._judge_hosts(last=True)
        return self.left > 0

    def _hand_out(self, client: Client) -> None:
        """Give each free worker the first tile that may go there."""
        busy = Counter(running.address for running in self._running.values())
        for address, host in self._workers.free(busy):
            if not self._waiting:
                return
            if host in self._avoided or self._pauses(address) or self._pauses(host):
                continue
            task = self._next_task(host)
            if task is None:
                continue
            task = replace(task, limit=time_limit(task.config, self._longest))
            # All keys have one prefix: the scheduler keeps books about each for ever.
            future = client.submit(
                run_tile,
                task,
                key=f"tile-{next(self._number)}-{task.ref.tile}",
                pure=False,
                workers=[address],
            )
            self._running[future] = Running(task, address)
            future.add_done_callback(self._done.put)

    def _next_task(self, host: str) -> TileTask | None:
        """Take the first waiting task that may go to ``host``."""
        usable = set(self._workers.hosts.values()) - self._avoided.keys()
        for number, task in enumerate(self._waiting):
            if host in self._fit_hosts(task, usable) and not self._pauses(task.ref.tile):
                del self._waiting[number]
                return task
        return None

    def _fit_hosts(self, task: TileTask, usable: set[str]) -> set[str]:
        """The hosts to which a task may go: one that failed goes to another host if there is one.

        One that lost its worker may go anywhere: what ends a worker is seldom its host.
        """
        anywhere = (LOST_WORKER, OUT_OF_MEMORY)
        failed_on = {failure.host for failure in task.earlier if failure.error not in anywhere}
        if not failed_on:
            return usable
        elsewhere = usable - failed_on
        return self._hosts.trusted(elsewhere) or elsewhere or usable

    def _settle(self, future: Future[Any]) -> TileOutcome | None:
        """The outcome of a tile, or ``None`` if it is tried again."""
        running = self._running.pop(future, None)
        if running is None:  # taken back
            return None
        task = running.task
        if future.cancelled():
            raise self._lost_scheduler()
        error = future.exception()
        if isinstance(error, KilledWorker):
            return self._settle_loss(running, self._host(error.last_worker.address))
        if error is not None:
            raise error
        answer: TileOutcome | Refusal = future.result()
        host = answer.host.partition(":")[0]
        if isinstance(answer, Refusal):
            self._settle_refusal(host, answer.error)
            if answer.ends:
                self._due[running.address] = math.inf
            self._waiting.appendleft(task)
            self._looked = -LOOK_SECONDS
            return None
        return self._settle_answer(answer, running, host)

    def _settle_refusal(self, host: str, error: PhotozError) -> None:
        """A host that lacks something rests, and is given up if that does not help."""
        if not isinstance(error, HostError):
            self._hosts.refused(host, error)
        elif not self._pauses(host):
            self._strikes[host] += 1
            self._pause(host, self._strikes[host])
            if self._strikes[host] == 1:
                self.say(f"host {host} rests, no tile is blamed: {error}")
            if self._strikes[host] >= STRIKES:
                self._hosts.refused(host, error)

    def _settle_answer(
        self, outcome: TileOutcome, running: Running, host: str
    ) -> TileOutcome | None:
        """The outcome that a worker sent, or ``None`` if the tile is tried again."""
        if outcome.status in (Status.DONE, Status.NO_WORK):
            self._hosts.succeeded(host, outcome.tile)
            self._strikes.pop(host, None)
            self._longest = max(self._longest or 0.0, running.seconds)
            self._stumbles.pop(running.address, None)
            return outcome
        self._hosts.failed(host, outcome.tile)
        next_try = running.task.after(Failure(host, outcome.error, outcome.reason))
        if outcome.status is Status.FAILED:
            self._stumbles[running.address] += 1
            self._pause(running.address, self._stumbles[running.address])
            self._try_again(next_try)
            return None
        self._quarantined[outcome.tile] = next_try
        return outcome

    def _settle_loss(self, running: Running, host: str) -> TileOutcome | None:
        """The outcome of a tile whose worker was lost, or ``None`` if it is tried again."""
        task = running.task
        self._hosts.failed(host, task.ref.tile)
        self._looked = -LOOK_SECONDS
        this_try = Try.start(task)
        overdue = running.seconds >= task.limit
        outcome = this_try.overdue(host) if overdue else this_try.lost(host)
        if outcome.status is not Status.FAILED:
            return outcome
        self._try_again(task.after(Failure(host, outcome.error, outcome.reason)))
        return None

    def _try_again(self, task: TileTask) -> None:
        self._pause(task.ref.tile, len(task.earlier))
        self._waiting.appendleft(task)

    def _pause(self, name: str, number: int) -> None:
        """Let a tile or a worker rest after its ``number``-th failure.

        Storage that fails now may work in a minute.
        """
        seconds = BACKOFF_SECONDS * 2 ** min(number - 1, 9)  # no overflow after many failures
        self._due[name] = monotonic() + min(LONGEST_PAUSE, seconds)

    def _pauses(self, name: str) -> bool:
        return name in self._due and monotonic() < self._due[name]

    def _host(self, address: str) -> str:
        return self._names.get(address) or _network_name(address)

    def _lost_scheduler(self) -> InterruptedRunError:
        return InterruptedRunError(
            "the Dask scheduler is lost; finished tiles are kept, the same command resumes"
        )


def _network_name(address: str) -> str:
    """The host in an address: ``10.0.0.7`` of ``tls://10.0.0.7:34567``."""
    return address.rpartition("/")[2].rpartition(":")[0]
