"""One try of a tile: what a worker is given, and how the try ends.

This is the only place that decides the fate of a tile, and the only one that records it.

    measured                                  DONE, or NO_WORK if no source was selected
    `TransientError`, a GPU among them        FAILED, in the last try QUARANTINED
    an allocation failed                      FAILED, in the last try QUARANTINED
    the worker was lost                       FAILED, in the last try QUARANTINED
    the try took longer than its limit        FAILED, in the last try QUARANTINED
    a signal ended the tile's own process     FAILED, in the last try QUARANTINED
    the tile's own process crashed            QUARANTINED
    `BadDataError`, or any other error        QUARANTINED

A tile that FAILED is tried again. A `HostError` is no try: the tile waits for another worker.
"""

import signal
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from photoz_models.session import available_threads
from photoz_run.catalogue.provenance import InputFile, Provenance, input_files, inputs_digest
from photoz_run.config import RunConfig
from photoz_run.errors import BadDataError, NotFetchedError, PhotozError, TransientError
from photoz_run.records import Failure, Fetched, Status, TileOutcome, TileRef, TileResult
from photoz_run.run.ledger import RunDirectory
from photoz_run.run.tile_log import now
from photoz_run.run.window import Delivery, read_delivery
from photoz_run.survey.catalogues import count_rows

LOST_WORKER = "LostWorker"
"""Class of a failure in which the worker process went away with the tile."""

OUT_OF_MEMORY = "MemoryError"
"""Class of a failure in which an allocation failed, by the tile or by those before it."""

PASSING = (LOST_WORKER, OUT_OF_MEMORY, TransientError.__name__)
"""Classes of failures after which another try may do well."""

NOT_FETCHED = NotFetchedError.__name__
"""Class of a failure of which no host knows more than another."""

TOLD_TO_END = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2),
    signal.SIGKILL,
)
"""Signals by which somebody ends a process, the kernel out of memory included.

All others mean that it crashed.
"""

FIRST_LIMIT, LEAST_LIMIT = 6 * 3600.0, 3600.0
"""Seconds that a try may take before any tile of the run has ended, and at least afterwards."""

GENEROUS = 20.0
"""Times the longest tile so far."""


def time_limit(config: RunConfig, longest: float | None) -> float:
    """Seconds that a try may take; ``longest`` is the longest that came to its end so far."""
    if config.tile_minutes is not None:
        return config.tile_minutes * 60
    return FIRST_LIMIT if longest is None else max(LEAST_LIMIT, GENEROUS * longest)


@dataclass(frozen=True)
class TileTask:
    """All that a worker needs to measure one tile: records and paths.

    ``sharing`` processes share the cores that this one may use. The try may take ``limit`` seconds.
    """

    ref: TileRef
    config: RunConfig
    model: Path
    run: Provenance
    sharing: int
    earlier: tuple[Failure, ...] = ()
    limit: float = FIRST_LIMIT
    place: Path | None = None
    """Where in the window the files of a tile from afar are; ``None`` if all lie here."""

    @property
    def attempt(self) -> int:
        """The number of this try, from 1."""
        return len(self.earlier) + 1

    @property
    def threads(self) -> int:
        """Threads that the task may use on this host."""
        return max(1, available_threads() // self.sharing)

    @property
    def last(self) -> bool:
        """Whether a failure of this try is final."""
        return self.attempt >= self.config.attempts

    @property
    def suspect(self) -> bool:
        """Whether a worker went away with this tile before, or had no memory left for it.

        The tile is then measured in a process of its own.
        """
        return any(failure.error in (LOST_WORKER, OUT_OF_MEMORY) for failure in self.earlier)

    def after(self, failure: Failure) -> "TileTask":
        """The task of the next try."""
        return replace(self, earlier=(*self.earlier, failure))


def make_tasks(
    refs: Sequence[TileRef],
    config: RunConfig,
    model: Path,
    run: Provenance,
    sharing: int,
    places: Mapping[str, Path] = MappingProxyType({}),
) -> list[TileTask]:
    """The first try of each tile; the list of all tiles does not travel with each of them.

    ``places`` are those of tiles from afar in the window.
    """
    settings = config.model_copy(update={"tiles": ("all",)})
    return [
        TileTask(ref, settings, model, run, sharing, place=places.get(ref.tile)) for ref in refs
    ]


@dataclass(frozen=True)
class Try:
    """A try under way: its task, the input files at its start, and who makes it."""

    task: TileTask
    inputs: tuple[InputFile, ...]
    host: str = ""
    """Host and process; empty if no worker lived to tell."""
    provider: str = ""
    delivery: Delivery | None = None
    """What was fetched for it, if it is from afar."""

    @classmethod
    def start(cls, task: TileTask, host: str = "", provider: str = "") -> "Try":
        """Look at the input files; none is opened."""
        delivery = read_delivery(task.place) if task.place else None
        inputs = delivery.inputs if delivery else input_files(task.ref.paths())
        return cls(task, inputs, host, provider, delivery)

    @property
    def fetched(self) -> tuple[Fetched, ...]:
        """The files from afar, as they were fetched."""
        return self.delivery.fetched if self.delivery else ()

    def check(self) -> None:
        """Refuse a tile whose files could not be fetched; `NotFetchedError` says why."""
        if self.delivery and self.delivery.problem:
            raise NotFetchedError(self.delivery.problem)

    def measured(self, result: TileResult) -> TileOutcome:
        """The outcome of a try that came to its end."""
        if result.rows_in != result.rows_out:
            raise AssertionError(f"{result.rows_in} sources in, {result.rows_out} rows out")
        status = Status.DONE if result.rows_in else Status.NO_WORK
        return self._outcome(status, **vars(result))

    def failed(self, error: Exception) -> TileOutcome:
        """The outcome of a try that raised ``error``; a bug leaves its traceback."""
        expected = isinstance(error, (BadDataError, TransientError))
        status = self._status(passing=isinstance(error, TransientError))
        final = status is Status.QUARANTINED
        return self._outcome(
            status,
            error=type(error).__name__,
            reason=str(error) or repr(error),
            traceback="" if expected else "".join(traceback.format_exception(error)),
            catalogue_rows=rows_if_readable(self.task.ref) if final else None,
        )

    def starved(self) -> TileOutcome:
        """The outcome of a try in which an allocation failed although the host has memory."""
        reason = f"{self.task.ref.tile}: needs more memory than a worker may take (worker_memory)"
        return self._outcome(self._status(passing=True), error=OUT_OF_MEMORY, reason=reason)

    def ended(self, exit_status: int, catalogue_rows: int | None) -> TileOutcome:
        """The outcome of a try whose own process did not come to its end.

        Parameters
        ----------
        exit_status
            As `subprocess` gives it: negative for a signal.
        catalogue_rows
            Rows of the tile's catalogue, if the process still told them.
        """
        number = -exit_status
        told = number in TOLD_TO_END
        if number not in set(signal.Signals):
            cause = f"exit status {exit_status}: a library crashed"
        elif number == signal.SIGKILL:
            cause = "SIGKILL: out of memory?"
        elif told:
            cause = signal.Signals(number).name
        else:
            cause = f"{signal.Signals(number).name}: a library crashed"
        tile = self.task.ref.tile
        return self._outcome(
            self._status(passing=told),
            error=LOST_WORKER,
            reason=f"{tile}: its process, which measured nothing else, was ended by {cause}",
            catalogue_rows=catalogue_rows,
        )

    def overdue(self, host: str) -> TileOutcome:
        """The outcome of a try that was ended because it took longer than its limit."""
        minutes = f"{self.task.limit / 60:.3g} min"
        reason = f"{self.task.ref.tile}: ended on {host} because it took longer than {minutes}"
        if self.task.last:
            reason += "; see its log for where it was, and tile_minutes"
        return self._outcome(self._status(passing=True), error=LOST_WORKER, reason=reason)

    def lost(self, host: str) -> TileOutcome:
        """The outcome of a try whose worker on ``host`` went away."""
        tile = self.task.ref.tile
        if self.task.last:
            losses = [failure.host for failure in self.task.earlier if failure.error == LOST_WORKER]
            counts = Counter([*losses, host])
            places = ", ".join(f"{name} {number} times" for name, number in counts.items())
            reason = (
                f"{tile}: its worker was lost each time ({places});"
                " out of memory, or nodes taken away"
            )
        else:
            reason = f"{tile}: the worker process on {host} was lost while it measured this tile"
        return self._outcome(self._status(passing=True), error=LOST_WORKER, reason=reason)

    def _status(self, passing: bool) -> Status:
        """The status after a failure; one that may pass is final only in the last try."""
        return Status.FAILED if passing and not self.task.last else Status.QUARANTINED

    def _outcome(self, status: Status, **fields: Any) -> TileOutcome:
        return TileOutcome(
            tile=self.task.ref.tile,
            status=status,
            inputs_digest=inputs_digest(self.inputs),
            run_digest=self.task.run.run_digest,
            host=self.host,
            provider=self.provider,
            attempt=self.task.attempt,
            earlier=self.task.earlier,
            ended=now(),
            fetched=self.fetched,
            **fields,
        )


def record(outcome: TileOutcome, directory: RunDirectory) -> None:
    """Write an outcome into the run directory, unless the tile is tried again."""
    if outcome.status is not Status.FAILED:
        directory.write_outcome(outcome)


def rows_if_readable(ref: TileRef) -> int | None:
    """Rows of the tile's catalogue: a release counts those of a quarantined tile too."""
    try:
        return None if ref.catalogue is None else count_rows(ref.catalogue)
    except PhotozError:
        return None
