"""Fetchers keep the window full: threads that fetch files, those of the oldest tile first.

Files are the unit of work, not tiles: of a small window one tile is complete early, and is measured
while the next ones come. A tile gets its catalogue first, which tells how much of its images is
needed. Fetchers without work do not wait for that if all tiles so far needed all.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Self

from photoz_models.stamp_rule import StampRule
from photoz_run.afar.fetching import Portion, fetch
from photoz_run.afar.listing import AfarSurvey, RemoteFile
from photoz_run.afar.needs import all_other_files, first_files, other_files
from photoz_run.afar.opening import open_store
from photoz_run.afar.transfer import Manners
from photoz_run.config import RunConfig
from photoz_run.errors import BadDataError, InterruptedRunError, PhotozError, TransientError
from photoz_run.records import Fetched, TileRef
from photoz_run.run.scarcity import Scarcity
from photoz_run.run.window import Delivery, Window

LOOK_SECONDS = 1.0
"""How often fetchers without work look for room; other runs may have given it back."""

PAUSE_SECONDS, LONGEST_PAUSE = 10.0, 300.0
"""Pause of a tile whose transfer was given up; doubled for each further failure."""

PATIENCE_SECONDS = 3600.0
"""Time without a file after which the archive counts as away, and the run ends to be resumed."""


class Stopped(BaseException):
    """Raised within a transfer when the run ends."""


class Abandoned(BaseException):
    """Raised within a transfer when another file of the tile cannot be had."""


@dataclass(eq=False)
class Transit:
    """A tile on its way: the files that wait, and those that came."""

    ref: TileRef
    jobs: deque[Portion]
    planned: bool = False
    """Whether it is known what is fetched beside the catalogue."""
    images: deque[Portion] = field(default_factory=deque)
    """For fetchers without work, until it is planned."""
    early: set[Path] = field(default_factory=set)
    """Images that were begun before."""
    running: int = 0
    fetched: list[Fetched] = field(default_factory=list)
    problem: BadDataError | TransientError | None = None

    @property
    def tile(self) -> str:
        """Its name."""
        return self.ref.tile


@dataclass(frozen=True)
class FetchState:
    """How far fetchers are."""

    fetchers: int
    seconds: float
    """Since they began."""
    tiles: int
    """Delivered."""
    bytes: int
    waited: float
    """Share of the fetchers' time in which they waited for room."""
    running: tuple[str, ...]
    failed: tuple[str, ...]


class Fetchers:
    """Fetches ``tiles`` of a survey into its window, in order; a context in which threads work.

    Parameters
    ----------
    settled
        Whether a tile need not be fetched any more: somebody has measured it.
    told
        Is told each tile that is complete.
    say
        Is told what an operator should know.
    """

    def __init__(
        self,
        survey: AfarSurvey,
        tiles: Sequence[str],
        config: RunConfig,
        rule: StampRule,
        window: Window,
        settled: Callable[[str], bool] = lambda _: False,
        told: Callable[[str], None] = lambda _: None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._survey = survey
        self._config = config
        self._rule = rule
        self._window = window
        self._scarcity = Scarcity(window, say)
        self._settled = settled
        self._told = told
        self._say = say
        rate = config.afar.fetch_rate
        number = config.afar.fetchers
        self._manners = Manners(rate=rate * 1e6 / number if rate else None)
        begun = window.claimed()
        # What an earlier start began has room already, and goes first.
        self._wanted = deque(sorted(tiles, key=lambda tile: tile not in begun))
        self._transits: list[Transit] = []
        self._failures: Counter[str] = Counter()
        self._due: dict[str, float] = {}
        self._plans: set[bool] = set()
        """Whether tiles so far needed all their images, whole."""
        self._change = threading.Condition()
        self._claiming = ""
        self._full = self._ended = False
        self._ask_again = 0.0
        self._last_good: RemoteFile | None = None
        self._good_since = self._start = monotonic()
        self._delivered = self._bytes = 0
        self._waited = 0.0
        self._number = number
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="fetch")
        self._threads: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._start = self._good_since = monotonic()
        self._threads = [self._pool.submit(self._work) for _ in range(self._number)]
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._ended = True
            self._change.notify_all()
        self._pool.shutdown()

    @property
    def left(self) -> int:
        """Tiles that are not delivered yet."""
        with self._change:
            return len(self._wanted) + len(self._transits) + bool(self._claiming)

    def check(self) -> None:
        """Raise what ended a fetcher, if something did."""
        for thread in self._threads:
            if thread.done():
                thread.result()

    def want(self, tile: str) -> None:
        """Fetch a tile again, whose files were dropped."""
        with self._change:
            self._wanted.append(tile)
            self._change.notify_all()

    def room(self) -> None:
        """There may be room now."""
        with self._change:
            self._ask_again = 0.0
            self._change.notify_all()

    @property
    def state(self) -> FetchState:
        """How far they are."""
        with self._change:
            number, seconds = self._number, max(1e-3, monotonic() - self._start)
            return FetchState(
                number,
                seconds,
                self._delivered,
                self._bytes,
                min(1.0, self._waited / (number * seconds)),
                tuple(transit.tile for transit in self._transits),
                tuple(tile for tile in self._wanted if self._failures[tile]),
            )

    def _work(self) -> None:
        """What a thread does until all tiles are there."""
        with suppress(Stopped):
            while (step := self._next()) is not None:
                self._do(*step)

    def _next(self) -> tuple[Transit, Portion | None] | None:
        """The next file: of a new tile, or of the oldest that has one; ``None`` at the end.

        Without a job the catalogue of the tile lies here.
        """
        while True:
            with self._change:
                if self._ended:
                    return None
                waiting = [transit for transit in self._transits if transit.jobs]
                tile = self._take_due() if self._new_tile_helps(waiting) else None
                if tile is None and waiting:
                    waiting[0].running += 1
                    return waiting[0], waiting[0].jobs.popleft()
                if tile is None and (image := self._early_image()):
                    return image
                if tile is None:
                    self._wait()
                    continue
            if (begun := self._begin(tile)) is not None:
                return begun

    def _new_tile_helps(self, waiting: Sequence[Transit]) -> bool:
        """Whether fetchers will lack work: no tile is ready to follow, nor is its catalogue coming.

        So the next tile's catalogue is here before the last images of this one, and tiles come
        evenly, not several at once.
        """
        planned = all(transit.planned for transit in self._transits)
        return not waiting or (planned and len(waiting) == 1)

    def _early_image(self) -> tuple[Transit, Portion] | None:
        """An image of a tile whose catalogue is coming, if all tiles so far needed all of them."""
        if self._plans != {True}:
            return None
        for transit in self._transits:
            if transit.images and not transit.planned:
                portion = transit.images.popleft()
                transit.early.add(portion.file.path)
                transit.running += 1
                return transit, portion
        return None

    def _take_due(self) -> str | None:
        """Take a tile off the list, unless another thread asks for room just now.

        Those that failed go first: they have room, and the others may wait for it.
        """
        now = monotonic()
        if self._claiming or now < self._ask_again:
            return None
        those_due = (tile for tile in self._wanted if self._due.get(tile, now) <= now)
        due = min(those_due, key=lambda tile: not self._failures[tile], default="")
        if due:
            self._wanted.remove(due)
        self._claiming = due
        return due or None

    def _wait(self) -> None:
        before = monotonic()
        self._change.wait(LOOK_SECONDS)
        if self._full:
            self._waited += monotonic() - before

    def _begin(self, tile: str) -> tuple[Transit, Portion | None] | None:
        """The first file of a tile, if there is room for it."""
        ref = self._survey.tiles[tile]
        # In this order: the files of a tile go when it is settled, also in this moment.
        gone = self._is_here(ref) or self._settled(tile)
        room = not gone and self._window.claim(tile, size_of(self._survey, ref))
        with self._change:
            self._claiming = ""
            self._full = not (gone or room)
            if self._full:
                self._wanted.appendleft(tile)
                self._ask_again = monotonic() + LOOK_SECONDS
                self._scarcity.look()
                return None
            self._change.notify_all()
            if gone:
                return None
            transit = Transit(ref, deque(first_files(self._survey, ref)), running=1)
            job = transit.jobs.popleft() if transit.jobs else None
            if job is not None:
                transit.images.extend(all_other_files(self._survey, ref))
            self._transits.append(transit)
        return transit, job

    def _is_here(self, ref: TileRef) -> bool:
        """Whether an earlier start has fetched the tile as it is now."""
        if not self._window.accept(ref.tile, self._survey.inputs_of(ref)):
            return False
        with self._change:
            self._delivered += 1
        self._told(ref.tile)
        return True

    def _do(self, transit: Transit, job: Portion | None) -> None:
        """Fetch a file; settle the tile if nothing else of it is on its way."""
        try:
            self._fetch(transit, job)
        except Abandoned:
            pass
        except (BadDataError, TransientError) as error:
            transit.problem = transit.problem or error
        with self._change:
            if transit.problem:
                transit.jobs.clear()
                transit.images.clear()
            transit.running -= 1
            last = not (transit.running or transit.jobs)
            self._change.notify_all()
        if last:
            self._settle(transit)

    def _fetch(self, transit: Transit, job: Portion | None) -> None:
        def tick(number: int) -> None:
            if self._ended:
                raise Stopped
            if transit.problem:
                raise Abandoned
            with self._change:
                self._bytes += number

        tick(0)
        if job is not None:
            transit.fetched.append(fetch(job, self._manners, tick))
            self._last_good, self._good_since = job.file, monotonic()
        if job is None or job.file.path == transit.ref.catalogue:
            jobs = other_files(
                self._survey, transit.ref, self._config, self._rule, self._manners, tick
            )
            with self._change:
                transit.planned = True
                self._plans.add(jobs == all_other_files(self._survey, transit.ref))
                transit.jobs.extend(job for job in jobs if job.file.path not in transit.early)

    def _settle(self, transit: Transit) -> None:
        """Deliver a tile, with its files or with the reason why not; or fetch it later."""
        error = transit.problem
        if isinstance(error, TransientError) and not self._to_blame(transit):
            self._later(transit, error)
            return
        inputs = self._survey.inputs_of(transit.ref)
        order = [path.name for path in transit.ref.paths()]
        fetched = sorted(transit.fetched, key=lambda file: order.index(file.name))
        problem = str(error) if error else ""
        self._window.deliver(transit.tile, Delivery(inputs, tuple(fetched), problem))
        with self._change:
            self._transits.remove(transit)
            self._delivered += 1
        self._told(transit.tile)

    def _to_blame(self, transit: Transit) -> bool:
        """Whether a tile failed often enough, while the archive gives other files."""
        self._failures[transit.tile] += 1
        return self._failures[transit.tile] >= self._config.attempts and self._archive_answers()

    def _later(self, transit: Transit, error: TransientError) -> None:
        """Put a tile back; its files so far stay, and so does its room."""
        tile = transit.tile
        if monotonic() - self._good_since > PATIENCE_SECONDS:
            raise InterruptedRunError(
                f"no file came for {PATIENCE_SECONDS / 60:.3g} min: {error};"
                " finished tiles are kept, the same command resumes"
            )
        pause = PAUSE_SECONDS * 2 ** min(self._failures[tile] - 1, 9)
        with self._change:
            self._due[tile] = monotonic() + min(LONGEST_PAUSE, pause)
            self._transits.remove(transit)
            self._wanted.append(tile)
        self._say(f"{tile} is fetched later: {error}")

    def _archive_answers(self) -> bool:
        """Whether a file that came before is still to be had: then the others are to blame."""
        good = self._last_good
        if good is None:
            return False
        try:
            open_store(good.url).look(good.url)
        except PhotozError:
            return False
        return True


def size_of(survey: AfarSurvey, ref: TileRef) -> int:
    """Bytes of a tile's files that lie afar; what is not there has none."""
    return sum(max(0, file.bytes) for file in survey.files_of(ref))
