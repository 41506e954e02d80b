"""How far the fetching for a run is, read from its window alone."""

from collections.abc import Collection
from dataclasses import dataclass

from photoz_models.documents import Record
from photoz_run.config import RunConfig
from photoz_run.records import TileOutcome
from photoz_run.run.lock import WorkState, holders
from photoz_run.run.window import Window

HALF = 0.5


@dataclass(frozen=True)
class FetchStatus(Record):
    """The window of a run, and who fills it."""

    hosts: tuple[str, ...]
    """Where files are fetched now."""
    fetchers: int
    """Files that are fetched at once."""
    fetched: int
    """Tiles, since those who fetch have begun."""
    waiting: int
    """Tiles that are complete and with no worker."""
    on_their_way: int
    bytes: int
    bytes_per_second: float | None
    slower: str
    """``fetching`` or ``measuring``: for what the other waits; empty if that is not known."""
    moved: int
    """Bytes that came over the network for tiles that have an outcome."""
    bytes_per_second_each: float | None
    """Of one transfer, on average over these."""


def read_fetching(
    config: RunConfig, running: Collection[str], outcomes: Collection[TileOutcome]
) -> FetchStatus | None:
    """How far fetching is; ``None`` if all tiles lie here.

    ``running`` tiles are with workers.
    """
    if not config.places_afar or config.afar.window is None:
        return None
    window = Window(config)
    locks = [holder for holder in holders(window.locks) if holder.alive]
    states = [holder.record.state for holder in locks if holder.record.state]
    delivered = window.delivered()
    seconds = max((state.seconds for state in states), default=0.0)
    now = sum(state.bytes for state in states)
    transfers = [file for outcome in outcomes for file in outcome.fetched]
    moved, busy = sum(file.moved for file in transfers), sum(file.seconds for file in transfers)
    return FetchStatus(
        hosts=tuple(sorted({holder.record.host for holder in locks})),
        fetchers=sum(state.workers for state in states),
        fetched=sum(state.finished for state in states),
        waiting=len(delivered.difference(running)),
        on_their_way=len(window.claimed() - delivered),
        bytes=now,
        bytes_per_second=now / seconds if seconds else None,
        slower=_slower(states),
        moved=moved,
        bytes_per_second_each=moved / busy if busy else None,
    )


def _slower(states: Collection[WorkState]) -> str:
    """Fetchers that wait for room most of their time are the quicker ones."""
    if not any(state.finished for state in states):
        return ""
    waited = sum(state.waited for state in states) / len(states)
    return "measuring" if waited > HALF else "fetching"
