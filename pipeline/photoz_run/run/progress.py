"""Telling the operator how far a run is: a bar on a terminal, a line a minute in a batch log."""

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from photoz_run.records import Status, TileOutcome

HEARTBEAT_SECONDS = 60.0


class Progress:
    """Counts outcomes and shows them on standard error."""

    def __init__(self, quiet: bool = False, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._heartbeat = heartbeat
        self._start = time.monotonic()
        self._bar: Bar | None = None
        self._total = self._already = self._workers = 0
        self._rows = 0
        self._outcomes: dict[str, TileOutcome] = {}
        self._bad: set[str] = set()

    @contextmanager
    def of(self, total: int, settled: Mapping[str, TileOutcome]) -> Iterator[None]:
        """Show the progress of ``total`` tiles while the block runs.

        ``settled`` ones were done before.
        """
        self._total, self._already, self._start = total, len(settled), time.monotonic()
        self._outcomes = dict(settled)
        self._bad = {
            tile for tile, outcome in settled.items() if outcome.status is Status.QUARANTINED
        }
        if settled and not self._quiet:
            self._console.print(f"resuming: {len(settled)} of {total} tiles are settled already")
        if self._quiet:
            yield
        elif self._console.is_terminal:
            with self._terminal():
                yield
        else:
            with self._batch():
                yield

    def advance(self, outcome: TileOutcome) -> None:
        """Count a tile; a failure is said at once.

        The outcome of a tile that is measured again replaces its first one.
        """
        self._outcomes[outcome.tile] = outcome
        self._rows += outcome.rows_out
        if outcome.status is Status.QUARANTINED:
            self._bad.add(outcome.tile)
            self.say(f"quarantined {outcome.reason}")
        else:
            self._bad.discard(outcome.tile)
        self._update()

    def beat(self, workers: int) -> None:
        """Tell how many workers live: an operator should see when there is none."""
        if workers != self._workers:
            self._workers = workers
            self._update()

    def say(self, words: str) -> None:
        """Print a line that should not be missed."""
        if not self._quiet:
            self._console.print(words, style="red", soft_wrap=True)

    def _update(self) -> None:
        if self._bar is not None:
            rate, bad = self._figures()
            self._bar.update(self._task, completed=self._done, rate=rate, bad=bad)

    @property
    def _done(self) -> int:
        return len(self._outcomes)

    @contextmanager
    def _terminal(self) -> Iterator[None]:
        columns = (
            TextColumn("tiles"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[bad]}", style="red"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
        )
        with Bar(*columns, console=self._console, speed_estimate_period=600) as bar:
            self._bar = bar
            rate, bad = self._figures()
            self._task = bar.add_task(
                "tiles", total=self._total, completed=self._done, rate=rate, bad=bad
            )
            yield
        self._bar = None

    @contextmanager
    def _batch(self) -> Iterator[None]:
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self._heartbeat):
                self._print_line()

        thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._print_line()

    def _print_line(self) -> None:
        parts = [f"{self._done}/{self._total} tiles", *self._figures(), self._seconds_left()]
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        print(
            f"{stamp}  photoz-run  {', '.join(part for part in parts if part)}",
            file=sys.stderr,
            flush=True,
        )

    def _figures(self) -> tuple[str, str]:
        seconds = max(time.monotonic() - self._start, 1e-3)
        rate = f"{self._rows / seconds:,.0f} galaxies/s" if self._rows else ""
        if not self._workers and self._done < self._total:
            rate = "waiting for workers"
        return rate, f"{len(self._bad)} quarantined" if self._bad else ""

    def _seconds_left(self) -> str:
        here = self._done - self._already
        if not here or self._done == self._total:
            return ""
        seconds = (time.monotonic() - self._start) / here * (self._total - self._done)
        return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
