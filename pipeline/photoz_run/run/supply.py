"""Tiles from afar as a driver sees them: which can be handed out, and what goes when they ended."""

import math
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from time import monotonic

from photoz_models.stamp_rule import StampRule
from photoz_run.afar.listing import AfarSurvey
from photoz_run.config import RunConfig
from photoz_run.errors import ConfigError, InterruptedRunError
from photoz_run.records import Status, TileOutcome
from photoz_run.run.fetchers import Fetchers, size_of
from photoz_run.run.lock import RunLock, WorkState, holders
from photoz_run.run.window import Window

TELL_SECONDS = 1.0
IDLE_SECONDS = 600.0
"""So long workers are kept for tiles that do not come."""

TRY_SECONDS = 5.0
"""How often a driver tries to fetch itself, while another process does it for the run."""

Say = Callable[[str], None]
Supplied = Callable[[float, Say], "LocalSupply"]
"""Makes the supply of a run, from its longest wait and what tells its operator."""


class LocalSupply:
    """Tiles that all lie here."""

    def telling(self, _told: Callable[[], None]) -> AbstractContextManager[None]:
        """Fetch while the block runs, and tell when a tile is complete."""
        return nullcontext()

    def ready(self, _tile: str) -> bool:
        """Whether a tile can be handed out."""
        return True

    def at_once(self) -> float:
        """Tiles that are here at once: more workers than that have nothing to do."""
        return math.inf

    def ended(self, _outcome: TileOutcome) -> None:
        """A tile has its outcome."""

    def again(self, _tile: str) -> None:
        """A tile that has ended is measured again."""

    def check(self) -> None:
        """Raise what ended the fetching."""


class Peak:
    """The largest number of late: of one period at least, of two at most."""

    def __init__(self, first: int) -> None:
        self._before, self._now = first, 0
        self._since = monotonic()

    def see(self, number: int) -> None:
        """The number as it is now."""
        if monotonic() - self._since > IDLE_SECONDS:
            self._before, self._now, self._since = self._now, 0, monotonic()
        self._now = max(self._now, number)

    @property
    def most(self) -> int:
        """The largest number."""
        return max(self._before, self._now)


class AfarSupply(LocalSupply):
    """Tiles that come through the window of a run; those of ``tiles`` that lie here are ready.

    The files of a tile that has ended are deleted by a thread: that can take long.
    """

    def __init__(
        self,
        survey: AfarSurvey,
        tiles: Sequence[str],
        config: RunConfig,
        rule: StampRule,
        longest_wait: float,
        say: Say,
    ) -> None:
        self._survey, self._config, self._rule = survey, config, rule
        self._say = say
        self._told: Callable[[], None] = lambda: None
        self._window = Window(config)
        self._afar = [tile for tile in tiles if survey.files_of(survey.tiles[tile])]
        self._here = set(tiles).difference(self._afar)
        self._expected = frozenset(self._afar)
        self._ready: set[str] = set()
        """Tiles that are here, with workers or not."""
        # Nobody knows yet how fast tiles come: there may be as many as have room.
        self._peak = Peak(most_at_once(survey, self._afar, config))
        self._going: set[str] = set()
        """Tiles whose files are being deleted."""
        self._over: set[str] = set()
        """Tiles that have ended: who takes over the fetching fetches them no more."""
        self._fetchers: Fetchers | None = None
        self._ended = threading.Event()
        self._fetching = ThreadPoolExecutor(1, thread_name_prefix="supply")
        self._deleting = ThreadPoolExecutor(1, thread_name_prefix="delete")
        self._tasks: list[Future[None]] = []
        self._longest_wait = longest_wait
        self._seen = monotonic()

    @contextmanager
    def telling(self, told: Callable[[], None]) -> Iterator[None]:
        """Fetch while the block runs, and tell when a tile is complete."""
        self._told = told
        if self._config.afar.fetchers:
            self._tasks.append(self._fetching.submit(self._fetch))
        try:
            yield
        finally:
            self._ended.set()
            self._fetching.shutdown()
            self._deleting.shutdown()
            self._window.leave()

    def ready(self, tile: str) -> bool:
        """Whether all files of a tile are there."""
        return tile in self._here or tile in self._ready

    def at_once(self) -> float:
        """Tiles that were here at once of late; at first, those that the window may hold."""
        return len(self._here) + self._peak.most

    def ended(self, outcome: TileOutcome) -> None:
        """Delete the files of a tile: its outcome is recorded."""
        if outcome.tile not in self._here:
            self._over.add(outcome.tile)
            self._ready.discard(outcome.tile)
            self._going.add(outcome.tile)
            quarantined = outcome.status is Status.QUARANTINED
            self._tasks.append(self._deleting.submit(self._drop, outcome.tile, quarantined))

    def again(self, tile: str) -> None:
        """Fetch a tile again, once its files are gone."""
        if tile not in self._here:
            self._over.discard(tile)
            self._tasks.append(self._deleting.submit(self._want, tile))

    def check(self) -> None:
        """Look what others have fetched.

        Raises
        ------
        PhotozError
            What ended the fetching: the archive, the window, or that nobody does it.
        """
        ended = [task for task in self._tasks if task.done()]
        for task in ended:
            self._tasks.remove(task)
            task.result()
        if self._fetchers is not None:
            self._fetchers.check()
        else:
            self._watch()
        self._peak.see(len(self._ready))

    def _watch(self) -> None:
        """Look what another process fetches for this run, and whether there is one."""
        before = len(self._ready)
        delivered = self._window.delivered() - self._going
        self._ready = {tile for tile in delivered if tile in self._expected}
        if len(self._ready) > before:
            self._told()
        someone = any(holder.alive for holder in holders(self._window.locks))
        if self._ready or someone or not self._afar:
            self._seen = monotonic()
        elif monotonic() - self._seen > self._longest_wait:
            raise InterruptedRunError(
                f"nobody fetches for {self._config.out}: start photoz fetch {self._config.out}"
                " where there is a network; the same command resumes"
            )

    def _drop(self, tile: str, quarantined: bool) -> None:
        self._window.release(tile, quarantined)
        self._going.discard(tile)
        if self._fetchers is not None:
            self._fetchers.room()

    def _want(self, tile: str) -> None:
        if self._fetchers is not None:
            self._fetchers.want(tile)

    def _complete(self, tile: str) -> None:
        self._ready.add(tile)
        self._told()

    def _fetch(self) -> None:
        """Fetch, unless another process does it; then take its place when it has ended."""
        with ExitStack() as stack:
            lock = self._lock(stack)
            if lock is None:
                return
            fetchers = Fetchers(
                self._survey,
                self._afar,
                self._config,
                self._rule,
                self._window,
                settled=self._over.__contains__,
                told=self._complete,
                say=self._say,
            )
            with fetchers:
                self._fetchers = fetchers
                lock.tell(work_state(fetchers))
                lock.write()
                while not self._ended.wait(TELL_SECONDS):
                    lock.tell(work_state(fetchers))

    def _lock(self, stack: ExitStack) -> RunLock | None:
        """The lock of those who fetch for this run; ``None`` if the run ends before it is free."""
        told = False
        while True:
            lock = RunLock(self._window.locks, self._config.share)
            try:
                return stack.enter_context(lock)
            except ConfigError as error:
                if not told:
                    self._say(f"files are fetched by another process: {error}")
                told = True
            if self._ended.wait(TRY_SECONDS):
                return None


def supply_of(
    survey: AfarSurvey,
    tiles: Sequence[str],
    config: RunConfig,
    rule: StampRule,
    longest_wait: float,
    say: Say,
) -> LocalSupply:
    """Where the tiles of a run come from."""
    if not survey.remote:
        return LocalSupply()
    return AfarSupply(survey, tiles, config, rule, longest_wait, say)


def most_at_once(survey: AfarSurvey, tiles: Sequence[str], config: RunConfig) -> int:
    """How many of ``tiles`` can be here at once: those that lie here, and those with room."""
    if not survey.remote:
        return len(tiles)
    sizes = [size_of(survey, survey.tiles[tile]) for tile in tiles]
    afar = [size for size in sizes if size]
    return len(sizes) - len(afar) + Window(config).most(afar)


def prepare_window(
    survey: AfarSurvey, config: RunConfig, settled: Collection[str], restart: bool
) -> dict[str, Path]:
    """Drop what is in the window of tiles that have ended; where the others' files will lie."""
    if not survey.remote:
        return {}
    window = Window(config)
    for tile in window.claimed() if restart else window.claimed().intersection(settled):
        window.release(tile)
    return {tile: window.place(tile) for tile, ref in survey.tiles.items() if survey.files_of(ref)}


def work_state(fetchers: Fetchers) -> WorkState:
    """What a heartbeat says of fetchers."""
    state = fetchers.state
    return WorkState(
        seconds=state.seconds,
        finished=state.tiles,
        rows=0,
        bytes=state.bytes,
        workers=state.fetchers,
        running=state.running,
        failed=state.failed,
        waited=state.waited,
    )
