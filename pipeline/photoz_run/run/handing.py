"""What the driver keeps of workers and of what is with them: bookkeeping without Dask."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic

from photoz_run.run.task import TileTask

HANDFUL_SECONDS = 0.5
"""Tiles that take less than this together are handed out as one."""

MOST = 32
"""Tiles of a handful."""

SHARES = 4
"""A worker gets at most this part of its share of the waiting tiles, so that all end together."""

WEIGHT = 0.2
"""Of the newest handful in the mean time of a tile."""


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
    """A handful of tasks that is with a worker, and since when."""

    tasks: tuple[TileTask, ...]
    address: str
    since: float = field(default_factory=lambda: monotonic())

    @property
    def seconds(self) -> float:
        """For how long."""
        return monotonic() - self.since


class Pace:
    """How long tiles take, and so how many are handed out at once.

    A tile that takes seconds is handed out alone: a lost worker then names it.
    """

    def __init__(self) -> None:
        self._seconds: float | None = None
        self.longest: float | None = None
        """The longest mean time of a tile in a handful; ``None`` before the first has ended."""

    def took(self, seconds: float, tiles: int) -> None:
        """A handful of ``tiles`` has ended after ``seconds``."""
        mean = seconds / tiles
        self.longest = max(self.longest or 0.0, mean)
        before = mean if self._seconds is None else self._seconds
        self._seconds = (1 - WEIGHT) * before + WEIGHT * mean

    def handful(self, waiting: int, workers: int) -> int:
        """How many of the ``waiting`` tiles one of ``workers`` should get now."""
        if self._seconds is None:
            return 1
        quick = int(HANDFUL_SECONDS / max(self._seconds, HANDFUL_SECONDS / MOST))
        return max(1, min(quick, waiting // (SHARES * max(1, workers))))


class Rests:
    """Tiles, workers and hosts that rest after a failure: storage may work in a minute."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def rest(self, name: str, seconds: float) -> None:
        """Let ``name`` rest from now on."""
        self._due[name] = monotonic() + seconds

    def __contains__(self, name: str) -> bool:
        return name in self._due and monotonic() < self._due[name]
