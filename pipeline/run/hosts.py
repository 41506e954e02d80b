"""Which hosts can be trusted: a host that fails every tile is avoided, and the tiles it failed are not blamed.

Bookkeeping only: no Dask, no clock. A failure counts against a host as long as the tile has failed nowhere else; a
tile that fails on a second host is the tile's fault, and clears both.
"""

from collections import defaultdict
from collections.abc import Collection

STREAK = 3
"""Different tiles failed one after another, without a good one between, from which a host is avoided."""


class Hosts:
    """What each host has done so far."""

    def __init__(self) -> None:
        self._good: defaultdict[str, int] = defaultdict(int)
        self._streak: defaultdict[str, list[str]] = defaultdict(list)
        self._failed_on: defaultdict[str, set[str]] = defaultdict(set)
        self._refusals: dict[str, Exception] = {}

    def succeeded(self, host: str) -> None:
        """A tile was measured on ``host``, or had nothing to measure."""
        self._good[host] += 1
        self._streak[host].clear()

    def failed(self, host: str, tile: str) -> None:
        """``tile`` failed on ``host``, for whatever reason."""
        self._failed_on[tile].add(host)
        if tile not in self._streak[host]:
            self._streak[host].append(tile)

    def refused(self, host: str, error: Exception) -> None:
        """``host`` cannot measure any tile: no model, no GPU, no way to write."""
        self._refusals[host] = error

    def suspects(self, host: str) -> list[str]:
        """The tiles of the present streak of ``host`` that failed nowhere else."""
        return [tile for tile in self._streak[host] if self._failed_on[tile] == {host}]

    def avoided(self, living: Collection[str]) -> dict[str, str]:
        """Hosts of ``living`` that should get no tile, with the reason.

        Those that refused; and those with a streak of failures, while another host that is not avoided has done well.
        """
        avoided = {host: str(self._refusals[host]) for host in living if host in self._refusals}
        for host in living:
            streak = self.suspects(host)
            sound = [other for other in living if other != host and other not in avoided and self._good[other]]
            if host not in avoided and len(streak) >= STREAK and sound:
                avoided[host] = f"{len(streak)} tiles failed there one after another"
        return avoided

    def check_any_left(self, living: Collection[str]) -> None:
        """Raise the last refusal if every one of ``living`` has refused."""
        if living and all(host in self._refusals for host in living):
            raise self._refusals[next(iter(living))]
