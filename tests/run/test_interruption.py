"""A signal ends a run whenever it comes: it is an interruption, no failure, and never ignored."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from photoz_run.errors import InterruptedRunError, PhotozError
from photoz_run.run.interruption import HANDLED, interruptible
from support import crash
from support.runs import options, start_command

WENT_ON: list[str] = []
"""What ran on after its signal.

An exception would not tell: after a signal every exception is an interruption.
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in HANDLED}
    WENT_ON.clear()
    yield
    assert {number: signal.getsignal(number) for number in HANDLED} == before
    assert WENT_ON == []


@interruptible("outer")
def overhear(kind: type[Exception]) -> None:
    with suppress(kind):
        signal.raise_signal(signal.SIGTERM)
    WENT_ON.append("overhear")


@interruptible("outer")
def nested() -> None:
    with interruptible("inner"):
        signal.raise_signal(signal.SIGUSR1)
    WENT_ON.append("nested")


class Dying:
    """Dies while a signal comes: what is raised in a destructor Python reports and forgets."""

    def __init__(self, error: Exception | None = None):
        self.error = error

    def __del__(self) -> None:
        if self.error:
            raise self.error
        signal.raise_signal(signal.SIGTERM)


@interruptible("outer")
def die(seconds: float) -> None:
    Dying()
    if seconds:
        time.sleep(seconds)
        WENT_ON.append("die")


@pytest.mark.parametrize("seconds", [20, 0])
def test_a_signal_that_comes_while_an_object_dies_is_not_lost(seconds):
    before = sys.unraisablehook, signal.getsignal(signal.SIGALRM)
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM; outer"):
        die(seconds)
    assert (sys.unraisablehook, signal.getsignal(signal.SIGALRM)) == before


class Reluctant:
    """Python makes a RuntimeError of what is raised here, as libraries do of an interruption."""

    def __set_name__(self, owner: type, name: str) -> None:
        signal.raise_signal(signal.SIGTERM)


@interruptible("outer")
def define() -> None:
    type("Owner", (), {"name": Reluctant()})


def test_an_error_made_of_a_signal_is_an_interruption():
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM; outer"):
        define()


def test_errors_without_a_signal_are_themselves():
    with pytest.raises(KeyError), interruptible():
        raise KeyError("odd")


def test_other_errors_of_dying_objects_are_reported_as_ever(monkeypatch):
    reported = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda swallowed: reported.append(str(swallowed.exc_value))
    )
    with interruptible():
        Dying(ValueError("odd"))
    assert reported == ["odd"]


@pytest.mark.parametrize("kind", [PhotozError, Exception])
def test_code_that_copes_with_errors_does_not_overhear_a_signal(kind):
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM; outer"):
        overhear(kind)


def test_a_signal_within_two_blocks_is_one_interruption():
    with pytest.raises(InterruptedRunError, match="stopped by SIGUSR1; inner"):
        nested()


def test_a_signal_that_comes_when_the_block_has_ended_is_the_callers(monkeypatch):
    heard: list[int] = []
    written = os.write

    def write_late(*arguments: Any) -> int:
        signal.raise_signal(signal.SIGUSR1)
        return written(*arguments)

    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        with interruptible():
            monkeypatch.setattr(os, "write", write_late)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [signal.SIGUSR1]


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.2, 0.4, 0.8])
def test_a_signal_while_the_program_starts_ends_it_in_one_line_or_at_once(
    dr4_tile, bundle, tmp_path, seconds, monkeypatch
):
    # However fast it starts, its tile is not done before.
    crash.on(monkeypatch, dr4_tile.name, "hang")
    process = start_command(options(dr4_tile.folder, bundle, tmp_path / "out"))
    time.sleep(seconds)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=300)
    assert process.returncode in (75, -signal.SIGTERM), said
    assert "Traceback" not in said
    if process.returncode == 75:
        assert said.splitlines()[-1].startswith("photoz-run: stopped by SIGTERM")


KEPT = """
import signal
before = signal.getsignal(signal.SIGINT)
import photoz_run.run.cluster
assert signal.getsignal(signal.SIGINT) is before
"""


def test_no_import_takes_ctrl_c_over():
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
