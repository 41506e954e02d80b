"""Telling the operator how far a command is: a bar for each step on a terminal, a line now and then in a batch log."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from photoz_run.release.merge import Tick

HEARTBEAT_SECONDS = 60.0


class Progress:
    """Shows the steps of a command on standard error."""

    def __init__(
        self,
        quiet: bool = False,
        heartbeat: float = HEARTBEAT_SECONDS,
        command: str = "photoz release",
    ) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._heartbeat = heartbeat
        self._command = command
        self._bars: Bars | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show steps while the block runs."""
        if self._quiet or not self._console.is_terminal:
            yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
        )
        with Bars(*columns, console=self._console, speed_estimate_period=600) as self._bars:
            yield
        self._bars = None

    @contextmanager
    def step(self, what: str, total: int) -> Iterator[Tick]:
        """One step of ``total`` parts; the block is given a function that takes how many more are done."""
        if self._bars is not None:
            task = self._bars.add_task(what, total=total)
            yield lambda more: self._bars.advance(task, more) if self._bars else None
            self._bars.update(task, completed=total)
            return
        with _Lines(f"{self._command}  {what}", total, self._heartbeat, self._quiet) as lines:
            yield lines.advance


class _Lines:
    """A line for a step every now and then, and one at its end."""

    def __init__(self, what: str, total: int, heartbeat: float, quiet: bool) -> None:
        self._what, self._total, self._done = what, total, 0
        self._heartbeat, self._quiet = heartbeat, quiet
        self._start = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def advance(self, more: int) -> None:
        """Count ``more`` parts."""
        self._done += more

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if kind is None:
            self._done = self._total
            self._say()

    def _beat(self) -> None:
        while not self._ended.wait(self._heartbeat):
            self._say()

    def _say(self) -> None:
        if self._quiet:
            return
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        seconds = time.monotonic() - self._start
        done = f"{self._done:,}/{self._total:,}" if self._done < self._total else f"{self._total:,}"
        print(f"{stamp}  {self._what}: {done}, {seconds:.0f} s", file=sys.stderr, flush=True)
