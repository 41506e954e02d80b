"""Which hosts can be trusted: one that fails every tile is avoided, and its tiles are not blamed.

Bookkeeping only: no Dask, no clock. A host with a streak of failures is put on trial: it gets no
tiles while those it failed are measured again elsewhere. The first of these tiles decides. If it
fails there too, the tiles are bad and the host is acquitted. If not, the host is convicted.
One host is on trial at a time, so that a row of bad tiles does not take one host after the other.

A failure that may pass, a stumble, is weighed against other stumbles alone: that storage failed for
a moment on one host does not excuse another that finds no file.
"""

from collections import defaultdict
from collections.abc import Collection

from photoz_run.errors import OutputError
from photoz_run.records import TileOutcome
from photoz_run.run.task import LOST_WORKER, NOT_FETCHED, OUT_OF_MEMORY, PASSING, TileTask

STREAK = 3
"""A host that fails so many different tiles one after another is put on trial."""


class Hosts:
    """What each host has done so far."""

    def __init__(self) -> None:
        self._good: defaultdict[str, int] = defaultdict(int)
        self._streak: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._failed_on: defaultdict[str, set[str]] = defaultdict(set)
        self._stumbled_on: defaultdict[str, set[str]] = defaultdict(set)
        self._well: set[str] = set()
        self._refusals: dict[str, Exception] = {}
        self._trial: dict[str, set[str]] = {}
        self._convicted: set[str] = set()

    def succeeded(self, host: str, tile: str) -> None:
        """``tile`` was measured on ``host``, or had nothing to measure."""
        self._good[host] += 1
        self._streak[host].clear()
        self._trial.pop(host, None)
        self._convicted.discard(host)
        if tile in self._failed_on or tile in self._stumbled_on:
            self._well.add(tile)
            self._convicted.update(self._end_trials(host, tile))

    def went_wrong(self, host: str, outcome: TileOutcome) -> None:
        """A try ended badly on ``host``; of a tile that was not to be had no host knows more."""
        if outcome.error in PASSING:
            self.stumbled(host, outcome.tile)
        elif outcome.error != NOT_FETCHED:
            self.failed(host, outcome.tile)

    def failed(self, host: str, tile: str) -> None:
        """``tile`` failed on ``host``, and would do so again."""
        self._failed_on[tile].add(host)
        self._streak[host][tile] = None
        self._end_trials(host, tile)

    def stumbled(self, host: str, tile: str) -> None:
        """``tile`` failed on ``host`` in a way that may pass."""
        self._stumbled_on[tile].add(host)
        self._streak[host][tile] = None
        self._end_trials(host, tile, stumbled=True)

    def refused(self, host: str, error: Exception) -> None:
        """``host`` cannot measure any tile: no model, no GPU, no way to write."""
        self._refusals[host] = error

    def suspects(self, host: str) -> list[str]:
        """The tiles that failed on ``host`` since it last did well, and nowhere else."""
        return [tile for tile in self._streak[host] if self._failed_with(host, tile) == {host}]

    def trusted(self, hosts: Collection[str]) -> set[str]:
        """Those of ``hosts`` that did well, and against which nothing is held."""
        return {host for host in hosts if self._good[host] and not self._accused(host)}

    def fit(self, task: TileTask, usable: set[str]) -> set[str]:
        """The hosts to which a task may go: one that failed goes to another host if there is one.

        One that lost its worker may go anywhere: what ends a worker is seldom its host.
        """
        anywhere = (LOST_WORKER, OUT_OF_MEMORY)
        failed_on = {failure.host for failure in task.earlier if failure.error not in anywhere}
        if not failed_on:
            return usable
        elsewhere = usable - failed_on
        return self.trusted(elsewhere) or elsewhere or usable

    def judge(self, living: Collection[str], last: bool = False) -> list[str]:
        """Put a host on trial if there is reason; the tiles that must be measured again elsewhere.

        At the end of a run (``last``) a host that never did well gets no further tile. What it
        failed is measured again, if there is another host that is not known to fail.
        """
        self._trial = {host: tiles for host, tiles in self._trial.items() if host in living}
        again = []
        for host in sorted(self._convicted):
            again += self._take(host)
        for host in sorted(living):
            suspects = self.suspects(host)
            others = [other for other in living if other != host]
            if len(suspects) >= STREAK and self.trusted(others):
                again += self._accuse(host, suspects)
            elif last and suspects and not self._good[host] and self._hope(others):
                again += self._take(host)
        return again

    def avoided(self, living: Collection[str]) -> dict[str, str]:
        """Hosts of ``living`` that should get no tile, with the reason.

        These are the hosts that refused, and those on trial or convicted while another does well.
        """
        avoided = {}
        others_do_well = bool(self.trusted(living))
        for host in living:
            if host in self._refusals:
                avoided[host] = str(self._refusals[host])
            elif others_do_well and self._accused(host):
                avoided[host] = "tile after tile failed there"
        return avoided

    def refusal(self, living: Collection[str]) -> Exception | None:
        """What a host of ``living`` said, if all have refused and no other is known to do better.

        A host that did well and is away may come back. A run directory that cannot be written does
        not mend itself.
        """
        if not living or any(host not in self._refusals for host in living):
            return None
        error = self._refusals[next(iter(living))]
        better = any(good and host not in self._refusals for host, good in self._good.items())
        return error if isinstance(error, OutputError) or not better else None

    def _accused(self, host: str) -> bool:
        return host in self._refusals or host in self._trial or host in self._convicted

    def _may_do_well(self, host: str) -> bool:
        """Whether nothing is held against a host, and it did well or has not failed yet."""
        return not self._accused(host) and bool(self._good[host] or not self._streak[host])

    def _hope(self, hosts: Collection[str]) -> bool:
        """Whether one of ``hosts`` may do well."""
        return any(self._may_do_well(host) for host in hosts)

    def _accuse(self, host: str, suspects: list[str]) -> list[str]:
        """Convict a host, or put it on trial; the tiles to measure again elsewhere."""
        if self._well.intersection(suspects):
            self._convicted.add(host)
        elif not self._trial:
            self._trial[host] = set(suspects)
        else:
            return []
        return self._take(host)

    def _take(self, host: str) -> list[str]:
        """The suspects of a host, which are no longer counted against it."""
        tiles = self.suspects(host)
        self._streak[host].clear()
        return tiles

    def _failed_with(self, host: str, tile: str) -> set[str]:
        """The hosts on which ``tile`` failed as it did on ``host``."""
        failed = self._failed_on.get(tile, set())
        return failed if host in failed else failed | self._stumbled_on.get(tile, set())

    def _end_trials(self, host: str, tile: str, stumbled: bool = False) -> list[str]:
        """The hosts on trial for which ``tile`` on another host decides."""
        ended = [
            accused
            for accused, tiles in self._trial.items()
            if accused != host
            and tile in tiles
            and not (stumbled and accused in self._failed_on.get(tile, set()))
        ]
        for accused in ended:
            del self._trial[accused]
        return ended
