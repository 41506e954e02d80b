"""How far a command with several steps is: bars on a terminal, lines in a batch log."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

HEARTBEAT_SECONDS = 60.0
WORTH_A_LINE = 1.0
"""Seconds from which on a step without parts has a line in a log."""

Tick: TypeAlias = Callable[[int], None]
"""Told how many more parts of a step are done."""


class StepProgress:
    """Shows the steps of a command on standard error."""

    def __init__(
        self,
        quiet: bool = False,
        command: str = "photoz",
    ) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._quiet = quiet
        self._command = command
        self._bars: Progress | None = None

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
        with Progress(*columns, console=self._console, speed_estimate_period=600) as self._bars:
            yield
        self._bars = None

    @contextmanager
    def step(self, what: str, total: int | None = None) -> Iterator[Tick]:
        """One step of ``total`` parts; the block is given a function that counts parts done.

        Without ``total`` the step has no parts that could be counted.
        """
        if self._bars is not None:
            with _bar(self._bars, what, total) as tick:
                yield tick
        elif self._quiet:
            yield lambda more: None
        else:
            with _lines(f"{self._command}  {what}", total) as tick:
                yield tick


SILENT = StepProgress(quiet=True)
"""Shows nothing."""


@contextmanager
def _bar(bars: Progress, what: str, total: int | None) -> Iterator[Tick]:
    """A bar for one step; it is full at the end, even if not every part was counted."""
    task = bars.add_task(what, total=total)
    yield lambda more: bars.advance(task, more)
    bars.update(task, total=total or 1, completed=total or 1)


@contextmanager
def _lines(what: str, total: int | None) -> Iterator[Tick]:
    """A line for one step every minute, and one at its end unless it failed."""
    done = 0
    start = time.monotonic()
    ended = threading.Event()

    def count(more: int) -> None:
        nonlocal done
        done += more

    def say() -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        seconds = time.monotonic() - start
        parts = ""
        if total is not None:
            parts = f"{done:,}/{total:,}, " if done < total else f"{total:,}, "
        print(f"{stamp}  {what}: {parts}{seconds:.0f} s", file=sys.stderr, flush=True)

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            say()

    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield count
    finally:
        ended.set()
        thread.join()
    done = total or 0
    if total is not None or time.monotonic() - start > WORTH_A_LINE:
        say()
