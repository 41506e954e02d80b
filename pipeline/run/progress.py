"""Telling the operator how far a run is: a bar on a terminal, a line every minute in a batch log."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from pipeline.records import Status, TileOutcome

HEARTBEAT_SECONDS = 60.0


class Progress:
    """Counts outcomes and shows them on standard error."""

    def __init__(self, quiet: bool = False, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._heartbeat = heartbeat
        self._start = time.monotonic()
        self._bar: Bar | None = None
        self._total = self._already = self._done = self._rows = self._bad = 0

    @contextmanager
    def of(self, total: int, settled: Iterable[TileOutcome]) -> Iterator[None]:
        """Show the progress of ``total`` tiles while the block runs; ``settled`` ones were done before."""
        settled = list(settled)
        self._total, self._start = total, time.monotonic()
        self._already = self._done = len(settled)
        self._bad = sum(outcome.status is Status.QUARANTINED for outcome in settled)
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
        """Count one more tile; a failure is said at once."""
        self._done += 1
        self._rows += outcome.rows_out
        if outcome.status is Status.QUARANTINED:
            self._bad += 1
            if not self._quiet:
                self._console.print(f"quarantined {outcome.reason}", style="red", soft_wrap=True)
        if self._bar is not None:
            rate, bad = self._figures()
            self._bar.update(self._task, completed=self._done, rate=rate, bad=bad)

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
            self._task = bar.add_task("tiles", total=self._total, completed=self._done, rate=rate, bad=bad)
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
        print(f"{stamp}  photoz-run  {', '.join(part for part in parts if part)}", file=sys.stderr, flush=True)

    def _figures(self) -> tuple[str, str]:
        seconds = max(time.monotonic() - self._start, 1e-3)
        rate = f"{self._rows / seconds:,.0f} galaxies/s" if self._rows else ""
        return rate, f"{self._bad} quarantined" if self._bad else ""

    def _seconds_left(self) -> str:
        here = self._done - self._already
        if not here or self._done == self._total:
            return ""
        seconds = (time.monotonic() - self._start) / here * (self._total - self._done)
        return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"
