"""Handing out tiles: one to each free worker, so that a lost worker names its tile.

Tiles that take no time are handed out several at once. If their worker is lost, one by one.

The scheduler never has more tasks than there are workers: its memory does not grow with the survey.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from photoz_run.errors import HostError, InterruptedRunError, OutputError, PhotozError
from photoz_run.records import Failure, Status, TileOutcome
from photoz_run.run.acquaintance import Acquaintance
from photoz_run.run.handing import Pace, Rests, Running, Workers
from photoz_run.run.hosts import Hosts
from photoz_run.run.task import OUT_OF_MEMORY, TileTask, Try, time_limit
from photoz_run.run.worker import Refusal, run_tiles

LOOK_SECONDS = 1.0
"""How often workers are counted."""

SOON_SECONDS = 0.1
"""How often, while a new worker is asked who it is."""

GREETING_SECONDS = 5.0
"""So long tiles wait for the answers of new workers: the first host to answer may be a bad one."""

ANSWER_SECONDS = 10.0
"""So long an answer is on its way, unless its worker has gone with it."""

BACKOFF_SECONDS, LONGEST_PAUSE = 2.0, 60.0
"""Pause before a tile's second try, and of a worker on which a try failed: it is doubled for each
further failure, up to the longest.
"""

STRIKES = 5
"""A host that lacks something so often, with a pause after each time, gets no more tiles."""


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
    ready
        Whether the files of a tile are there; one that is not ready waits.
    at_once
        How many tiles are there at once.
    """

    def __init__(
        self,
        tasks: Sequence[TileTask],
        say: Callable[[str], None],
        readmit: Callable[[str], None],
        patience: float = 0.0,
        longest_wait: float = math.inf,
        ready: Callable[[str], bool] = lambda _: True,
        at_once: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._waiting = deque(tasks)
        self._running: dict[Future[Any], Running] = {}
        self._done: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self._ready = ready
        self._at_once = at_once
        self._quarantined: dict[str, TileTask] = {}
        self._hosts = Hosts()
        self._workers = Workers({}, {})
        self._looked = -LOOK_SECONDS
        self._avoided: dict[str, str] = {}
        self._number = count()
        self._trouble: PhotozError | None = None
        self._rests = Rests()
        self._hello = Acquaintance(self._hosts.refused, next(iter(tasks), None), self._look_soon)
        self._asking = False
        self._asking_since = 0.0
        self._alone: set[str] = set()
        self._pace = Pace()
        self._stumbles: Counter[str] = Counter()
        self.say = say
        self._readmit = readmit
        self._patience = patience
        self._refused_since: float | None = None
        self._longest_wait = longest_wait
        self._alone_since = monotonic()
        self._strikes: Counter[str] = Counter()

    @property
    def left(self) -> int:
        """Tiles that have no outcome yet."""
        return len(self._waiting) + len(self.running)

    @property
    def useful(self) -> int:
        """Workers for which there are tiles; one at least while any is left."""
        return int(min(self.left, max(1, self._at_once())))

    @property
    def workers(self) -> int:
        """Workers that live."""
        return len(self._workers.slots)

    def give_up(self, error: PhotozError) -> None:
        """Let `outcomes` end with an error; called where workers are started."""
        self._trouble = error

    def wake(self) -> None:
        """Look at once whether a tile can be handed out: one has become ready."""
        self._done.put(None)

    def _look_soon(self) -> None:
        """Look at once: a new worker has said who it is."""
        self._looked = -LOOK_SECONDS
        self.wake()

    @property
    def running(self) -> tuple[str, ...]:
        """Tiles that are with workers."""
        return tuple(task.ref.tile for running in self._running.values() for task in running.tasks)

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
            # Dask tells of its end now. If it did so with the next outcome, the tile that is handed
            # out then would wait 10 ms: Dask sends no two messages faster.
            future = None
            try:
                future = self._done.get(timeout=SOON_SECONDS if self._asking else LOOK_SECONDS)
            except Empty:
                continue
            if future is not None:
                yield from self._settle(future)

    def _look(self, client: Client) -> None:
        """Count the workers, learn the hosts of new ones, and decide which hosts are avoided."""
        self._looked = monotonic()
        if self._trouble:
            raise self._trouble
        try:
            slots = client.nthreads()
            asking = self._hello.ask(client, slots)
            if asking:
                self._looked += SOON_SECONDS - LOOK_SECONDS
                if not self._asking:
                    self._asking_since = monotonic()
            self._asking = asking
        except (OSError, ValueError) as error:
            raise self._lost_scheduler() from error
        if client.status != "running":
            raise self._lost_scheduler()
        self._check_presence(bool(slots))
        self._take_back(slots)
        names = self._hello.names
        met = {address: number for address, number in slots.items() if address in names}
        self._workers = Workers(met, {address: names[address] for address in met})
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

    def _take_back(self, slots: Mapping[str, int]) -> None:
        """Let tiles wait again whose worker has left without a word, as one that retires does.

        No tile is to blame. Of a worker that was lost the scheduler tells before the second look.
        """
        here = slots.keys() | self._workers.slots.keys()
        for future, running in list(self._running.items()):
            if running.address not in here and not future.done():
                del self._running[future]
                future.cancel()
                self._waiting.extendleft(reversed(running.tasks))

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
        if error is None or self._asking:
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
        if self._asking and monotonic() - self._asking_since < GREETING_SECONDS:
            return
        busy = Counter(running.address for running in self._running.values())
        for address, host in self._workers.free(busy):
            if not self._waiting:
                return
            if host in self._avoided or address in self._rests or host in self._rests:
                continue
            if not (tasks := self._next_tasks(host)):
                continue
            # All keys have one prefix: the scheduler keeps books about each for ever.
            key = f"tile-{next(self._number)}-{tasks[0].ref.tile}"
            future = client.submit(run_tiles, tasks, key=key, pure=False, workers=[address])
            self._running[future] = Running(tasks, address)
            future.add_done_callback(self._done.put)

    def _next_tasks(self, host: str) -> tuple[TileTask, ...]:
        """Take the first waiting task that may go to ``host``, and those after it if all are quick.

        A tile that was tried before, or was lost with others, goes alone.
        """
        task = self._next_task(host)
        if task is None:
            return ()
        tasks = [task]
        if self._goes_with_others(task):
            most = self._pace.handful(len(self._waiting), len(self._workers.slots))
            while len(tasks) < most and self._waiting and self._goes_with_others(self._waiting[0]):
                tasks.append(self._waiting.popleft())
        limit = time_limit(task.config, self._pace.longest)
        return tuple(replace(task, limit=limit) for task in tasks)

    def _goes_with_others(self, task: TileTask) -> bool:
        tile = task.ref.tile
        return not task.earlier and tile not in self._alone and self._ready(tile)

    def _next_task(self, host: str) -> TileTask | None:
        """Take the first waiting task that may go to ``host``."""
        usable = set(self._workers.hosts.values()) - self._avoided.keys()
        for number, task in enumerate(self._waiting):
            if not self._ready(task.ref.tile) or task.ref.tile in self._rests:
                continue
            if host in self._hosts.fit(task, usable):
                del self._waiting[number]
                return task
        return None

    def _settle(self, future: Future[Any]) -> list[TileOutcome]:
        """The outcomes of a handful, without those of tiles that are tried again."""
        running = self._running.pop(future, None)
        if running is None:  # taken back
            return []
        if future.cancelled():
            raise self._lost_scheduler()
        try:
            error = future.exception(ANSWER_SECONDS)
            answers: list[TileOutcome | Refusal] = [] if error else future.result(ANSWER_SECONDS)
        except TimeoutError:
            # Its worker may have gone with the answer: then the tiles are taken back.
            self._running[future] = running
            future.add_done_callback(self._done.put)
            return []
        if isinstance(error, KilledWorker):
            return self._settle_loss(running, self._hello.host(error.last_worker.address))
        if error is not None:
            raise error
        self._waiting.extendleft(reversed(running.tasks[len(answers) :]))
        self._pace.took(running.seconds, len(answers))
        pairs = zip(running.tasks, answers, strict=False)
        outcomes = [self._settle_answer(task, answer, running.address) for task, answer in pairs]
        return [outcome for outcome in outcomes if outcome is not None]

    def _settle_refusal(self, host: str, error: PhotozError) -> None:
        """A host that lacks something rests, and is given up if that does not help."""
        if not isinstance(error, HostError):
            self._hosts.refused(host, error)
        elif host not in self._rests:
            self._strikes[host] += 1
            self._pause(host, self._strikes[host])
            if self._strikes[host] == 1:
                self.say(f"host {host} rests, no tile is blamed: {error}")
            if self._strikes[host] >= STRIKES:
                self._hosts.refused(host, error)

    def _settle_answer(
        self, task: TileTask, answer: TileOutcome | Refusal, address: str
    ) -> TileOutcome | None:
        """The outcome that a worker sent, or ``None`` if the tile is tried again."""
        host = answer.host.partition(":")[0]
        if isinstance(answer, Refusal):
            self._settle_refusal(host, answer.error)
            if answer.ends:
                self._rests.rest(address, math.inf)
            self._waiting.appendleft(task)
            self._looked = -LOOK_SECONDS
            return None
        if answer.status in (Status.DONE, Status.NO_WORK):
            self._hosts.succeeded(host, answer.tile)
            self._strikes.pop(host, None)
            self._stumbles.pop(address, None)
            return answer
        self._hosts.went_wrong(host, answer)
        next_try = task.after(Failure(host, answer.error, answer.reason))
        if answer.status is Status.FAILED:
            self._stumbles[address] += 1
            self._pause(address, self._stumbles[address])
            if answer.error == OUT_OF_MEMORY and not task.suspect:
                self._rests.rest(address, LONGEST_PAUSE)  # the worker ends, if it can start anew
            self._try_again(next_try)
            return None
        self._quarantined[answer.tile] = next_try
        return answer

    def _settle_loss(self, running: Running, host: str) -> list[TileOutcome]:
        """The outcome of a tile whose worker was lost, if it is not tried again.

        Of several tiles none is named by the loss: they are handed out again one by one.
        """
        self._looked = -LOOK_SECONDS
        if len(running.tasks) > 1:
            self._alone.update(task.ref.tile for task in running.tasks)
            self._waiting.extendleft(reversed(running.tasks))
            return []
        (task,) = running.tasks
        self._hosts.stumbled(host, task.ref.tile)
        this_try = Try.start(task)
        overdue = running.seconds >= task.limit
        outcome = this_try.overdue(host) if overdue else this_try.lost(host)
        if outcome.status is not Status.FAILED:
            return [outcome]
        self._try_again(task.after(Failure(host, outcome.error, outcome.reason)))
        return []

    def _try_again(self, task: TileTask) -> None:
        self._pause(task.ref.tile, len(task.earlier))
        self._waiting.appendleft(task)

    def _pause(self, name: str, number: int) -> None:
        """Let a tile, a worker or a host rest after its ``number``-th failure."""
        seconds = BACKOFF_SECONDS * 2 ** min(number - 1, 9)  # no overflow after many failures
        self._rests.rest(name, min(LONGEST_PAUSE, seconds))

    def _lost_scheduler(self) -> InterruptedRunError:
        return InterruptedRunError(
            "the Dask scheduler is lost; finished tiles are kept, the same command resumes"
        )
