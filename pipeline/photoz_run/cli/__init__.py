"""The command lines ``photoz-run`` and ``photoz``: what they are called, take and print.

Heavy imports stay inside the commands, so that help comes at once.
"""

import io
import os
import sys
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Entry point of ``photoz``; each sub-command's module is imported when it is used."""

    def photoz() -> None:
        from photoz_run.cli.photoz import main as command

        command()

    _run(photoz)


def photoz_run() -> None:
    """Entry point of ``photoz-run``."""

    def run() -> None:
        from photoz_run.cli.run import main as command

        command()

    _run(run)


def _run(command: Callable[[], None]) -> None:
    """Run ``command``; from here on, before anything else is imported, a signal interrupts it."""
    from photoz_run.run.interruption import run_to_a_signal

    _go_on_unread()
    run_to_a_signal(command, "nothing was written")


class _Pipe(io.FileIO):
    """Standard output; from where a reader has gone, as ``head`` does, words lead nowhere."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(data)


def _go_on_unread() -> None:
    """Let no command stop because nobody reads to the end what it prints."""
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
        pipe = io.BufferedWriter(_Pipe(stream.fileno(), "w", closefd=False))
        sys.stdout = io.TextIOWrapper(
            pipe, stream.encoding, stream.errors, line_buffering=stream.line_buffering
        )
