"""Ctrl-C at any command: one line, soon, and the same command begins again or goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from photoz_run.run.interruption import AFTER_INTERRUPT, interruptible
from support.runs import COMMAND, options

PHOTOZ = str(Path(COMMAND).with_name("photoz"))
SOON = 5.0
PATIENCE = 90.0
SMALL = ("--size", "700", "--tiles", "40")
"""A simulation that takes much longer than these tests."""


def interrupt(command: list[str], begun: Callable[[], object]) -> tuple[int, str, float]:
    """Send SIGINT to the group, as a terminal does, once the command has begun its work."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + PATIENCE
    while not begun():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    start = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said, time.monotonic() - start


def check(ended: tuple[int, str, float], last: str) -> None:
    status, said, seconds = ended
    assert status == 75, said
    assert said.splitlines()[-1] == last
    assert "Traceback" not in said
    assert seconds < SOON


@pytest.mark.parametrize("kind", ["tiles", "stamps"])
def test_a_simulation_ends_and_the_same_command_begins_it_anew(kind, tmp_path):
    out = tmp_path / "survey"
    more = ["--stamps"] if kind == "stamps" else []
    command = [PHOTOZ, "simulate", str(out), *SMALL, "--jobs", "2", *more]
    ended = interrupt(command, (out / ".unfinished").exists)
    last = "photoz: stopped by SIGINT; the survey is not complete, the same command begins it anew"
    check(ended, last)
    assert (out / ".unfinished").exists()
    (out / "KiDS_old.fits").touch()
    few = [PHOTOZ, "simulate", str(out), "--size", "400", "--tiles", "2", "--jobs", "1", *more]
    done = subprocess.run(few, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (out / ".unfinished").exists()
    assert not (out / "KiDS_old.fits").exists()
    again = subprocess.run(few, capture_output=True, text=True)
    assert again.returncode == 2
    assert "is not empty" in again.stderr


def test_a_run_ends_within_seconds_and_resumes(dr4_tile, bundle, tmp_path):
    out = tmp_path / "out"
    command = [COMMAND, *options(dr4_tile.folder, bundle, out, "--workers", "1")]
    ended = interrupt(command, lambda: list(out.glob("logs/*/*.log")))
    if ended[0] != 0:  # else the one tile was done already
        last = "stopped by SIGINT; finished tiles are kept, the same command resumes the run"
        check(ended, f"photoz-run: {last}")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


HANGING = """
import sys, time
sys.argv[0] = "/somewhere/photoz"
from photoz_run.run.interruption import interruptible
with interruptible("nothing was written"):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        time.sleep(60)
"""


@pytest.mark.parametrize("signals", [1, 2])
def test_what_does_not_end_by_itself_is_ended_and_at_once_by_a_second_signal(signals):
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    start = time.monotonic()
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, said = process.communicate(timeout=PATIENCE)
    seconds = time.monotonic() - start
    assert process.returncode == 75
    assert said == "photoz: stopped by SIGINT; nothing was written\n"
    assert seconds < (SOON if signals == 1 else AFTER_INTERRUPT - 1)


def test_a_block_that_ends_well_leaves_no_thread():
    import threading

    before = threading.active_count()
    with interruptible():
        pass
    time.sleep(0.2)
    assert threading.active_count() <= before
