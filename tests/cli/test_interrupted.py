"""Ctrl-C at any command: one line, soon, and the same command begins again or goes on."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from photoz_models.kept_sets import save_examples
from photoz_run.errors import OutputError
from photoz_run.release.folder import built_aside
from photoz_run.run.interruption import interruptible
from support import crash
from support.galaxies import toy_examples
from support.made_up_runs import MadeUpRun, tile_rows
from support.runs import COMMAND, options
from support.slow_storage import slow_storage
from support.validation import gama, survey, write_fits, write_parquet

PHOTOZ = str(Path(COMMAND).with_name("photoz"))
PATIENCE = 300.0
"""Seconds in which what must come comes, on a machine however busy."""
ENDS_BY_ITSELF = """
import sys
sys.argv[0] = "photoz"
from photoz_run.run import interruption
interruption.AFTER_INTERRUPT = 3600.0
from photoz_run.cli import main
main()
"""
MANY = 1000
"""Signals until a process ends: of two that come at once it hears one."""
PATIENT = [sys.executable, "-c", ENDS_BY_ITSELF]
"""``photoz`` that is not ended some seconds after a signal if it does not end by itself."""
SMALL = ("--size", "700", "--tiles", "40")
"""A simulation that takes much longer than these tests."""
SQUARE = ((179.5, -1.0), (180.5, -1.0), (180.5, 0.0), (179.5, 0.0))
"""Corners of a tile, in degrees."""


def interrupt(
    command: list[str],
    begun: Callable[[], object],
    signals: int = 1,
    pause: float = 0.2,
    hangs_at: str = "",
) -> tuple[int, str]:
    """Send SIGINT to the group, as a terminal does, once the command has begun its work.

    So many ``signals``, unless it ends before; it does not come further than to a file that fits
    ``hangs_at``. Its exit status, and what it said.
    """
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | crash.SITE | crash.crashes({hangs_at: "hang"} if hangs_at else {}),
    )
    end = time.monotonic() + PATIENCE
    while not begun():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    for _ in range(signals):
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(pause)
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def check(ended: tuple[int, str], last: str) -> None:
    status, said = ended
    assert status == 75, said
    assert said.splitlines()[-1] == last
    assert "Traceback" not in said


@pytest.mark.parametrize("kind", ["tiles", "stamps"])
def test_a_simulation_ends_and_the_same_command_begins_it_anew(kind, tmp_path):
    out = tmp_path / "survey"
    more = ["--stamps"] if kind == "stamps" else []
    command = [*PATIENT, "simulate", str(out), *SMALL, "--jobs", "2", *more]
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


def test_a_run_ends_and_resumes(dr4_tile, bundle, tmp_path):
    out = tmp_path / "out"
    command = [COMMAND, *options(dr4_tile.folder, bundle, out, "--workers", "1")]
    ended = interrupt(command, lambda: list(out.glob("logs/*/*.log")))
    if ended[0] != 0:  # else the one tile was done already
        last = "stopped by SIGINT; finished tiles are kept, the same command resumes the run"
        check(ended, f"photoz-run: {last}")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_training_leaves_no_half_bundle(tmp_path):
    save_examples(toy_examples(1500), tmp_path / "set")
    checkpoints, out = tmp_path / "checkpoints", tmp_path / "model.onnx"
    words = ["--network", "magnitudes", "--epochs", "5000", "--checkpoints", str(checkpoints)]
    command = [*PATIENT, "train", "--set", str(tmp_path / "set"), "--out", str(out), *words]
    ended = interrupt(command, lambda: checkpoints.is_dir() and any(checkpoints.iterdir()))
    last = "stopped by SIGINT; no bundle was written, the same command goes on"
    check(ended, f"photoz: {last}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "set"]


def test_a_training_on_a_set_that_it_keeps_goes_on_with_that(tmp_path):
    dice = np.random.default_rng(1)
    columns = {"r": 18 + 2 * dice.random(1500), "z": 0.1 + 0.3 * dice.random(1500)}
    table = write_parquet(tmp_path / "table.parquet", columns)
    kept, checkpoints, out = (tmp_path / name for name in ("kept", "checkpoints", "model.onnx"))
    words = ["--epochs", "5000", "--checkpoints", str(checkpoints), "--out", str(out)]
    source = ["--table", str(table), "--bands", "r", "--z", "z", "--keep-set", str(kept)]
    checkpoint = checkpoints / "magnitudes-1.pt"
    ended = interrupt([*PATIENT, "train", *source, *words], checkpoint.exists)
    last = f"no bundle was written; the set is complete, train on it: --set {kept}"
    check(ended, f"photoz: stopped by SIGINT; {last}")
    before = checkpoint.stat().st_ino
    goes_on = [*PATIENT, "train", "--set", str(kept), *words]
    ended = interrupt(goes_on, lambda: checkpoint.stat().st_ino != before)
    check(ended, "photoz: stopped by SIGINT; no bundle was written, the same command goes on")


def test_a_validation_can_be_written_again(tmp_path):
    columns, z = survey()
    catalogue = write_parquet(tmp_path / "photoz.parquet", columns)
    specz, out = write_fits(tmp_path / "gama.fits", gama(columns, z)), tmp_path / "validation"
    command = [*PATIENT, "validate", str(catalogue), "--specz", str(specz), "--out", str(out)]
    ended = interrupt(command, (out / "plots").exists, hangs_at="*.png")
    last = "stopped by SIGINT; the report is not complete, the same command writes it"
    check(ended, f"photoz: {last}")
    assert not list(out.rglob(".part-*"))
    done = subprocess.run([*command, "--no-plots"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_release_leaves_nothing(tmp_path):
    made_up = MadeUpRun(tmp_path / "run", ["KIDS_180.0_-0.5"])
    ids = np.array([f"KiDS J{k:05d}" for k in range(2000)])
    ra_N, dec_N = np.linspace(179.6, 180.4, 2000), np.linspace(-0.9, -0.1, 2000)
    made_up.add("KIDS_180.0_-0.5", tile_rows("KIDS_180.0_-0.5", ids, ra_N, dec_N), SQUARE)
    out = tmp_path / "releases" / "dr5"
    formats = ["--formats", "parquet,hats", "--quiet"]
    command = [*PATIENT, "release", str(made_up.path), "--out", str(out), *formats]
    begun = ".dr5.*/release/*_hats/*/*"
    ended = interrupt(command, lambda: list(out.parent.glob(begun)), hangs_at="README.md*")
    check(ended, "photoz: stopped by SIGINT; nothing was written, start the same command again")
    assert ended[1].count("\n") == 1, ended[1]
    assert not out.exists()


def test_a_release_removes_what_a_killed_one_has_left(tmp_path):
    with built_aside(tmp_path / "first") as (folder, _):
        lives = folder.parent
        left = lives.with_name(f"{lives.name}-left")
        (left / "scratch").mkdir(parents=True)
        with suppress(OutputError), built_aside(tmp_path / "first") as (other, _):
            assert lives.exists()
            assert not left.exists()
            shutil.rmtree(other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first"]


@pytest.mark.parametrize("signals", [1, MANY])
@pytest.mark.parametrize("name", ["model", "run"])
def test_commands_that_only_look_end_though_storage_hangs(
    tmp_path, dr4_tile, bundle, name, signals
):
    out, asked, pipe = tmp_path / "out", tmp_path / "asked", tmp_path / "set.json"
    # The second signal ends the command where the first would not yet.
    photoz = [PHOTOZ] if signals == 1 else PATIENT
    if name == "model":
        os.mkfifo(pipe)
        command = [*photoz, "model", "check", str(bundle), "--set", str(tmp_path)]
    else:
        hanging = (f"LD_PRELOAD={slow_storage(tmp_path)}", f"ASKED={asked}")
        command = ["env", *hanging, *photoz, "run", "--dry-run"]
        command += options(dr4_tile.folder, bundle, out)
    ended = interrupt(command, lambda: asked.exists() or is_read(pipe), signals)
    check(ended, "photoz: stopped by SIGINT; nothing was written")
    assert ended[1].count("\n") == 1, ended[1]
    assert not out.exists()


@pytest.mark.parametrize("pause", [0.0, 0.002, 0.02, 0.05, 0.1])
def test_signals_that_come_again_and_again_end_in_one_line(tmp_path, bundle, pause):
    os.mkfifo(tmp_path / "set.json")
    command = [PHOTOZ, "model", "check", str(bundle), "--set", str(tmp_path)]
    ended = interrupt(command, lambda: is_read(tmp_path / "set.json"), MANY, pause)
    assert ended == (75, "photoz: stopped by SIGINT; nothing was written\n")


def is_read(pipe: Path) -> bool:
    """Whether somebody has opened a pipe; from then on they wait for what never comes."""
    with suppress(OSError):
        os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        return True
    return False


HANGING = """
import sys, time
from photoz_run.run import interruption
if sys.argv[1] != "1":
    interruption.AFTER_INTERRUPT = 3600.0
sys.argv[0] = "/somewhere/photoz"
with interruption.interruptible("nothing was written"):
    try:
        print("begun", flush=True)
        time.sleep(3600)
    finally:
        time.sleep(3600)
"""


@pytest.mark.parametrize("signals", [1, MANY])
def test_what_does_not_end_by_itself_is_ended_and_at_once_by_a_second_signal(signals):
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(signals)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    for _ in range(signals):
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75
    assert said == "photoz: stopped by SIGINT; nothing was written\n"


SELECTING = """
import sys
import numpy as np
sys.argv[0] = "/somewhere/photoz"
from photoz_run.run.interruption import interruptible
from photoz_run.science.selection import LENGTH, select
comparison = "X**1.7 > 3"
expression = " and ".join([comparison] * (LENGTH // len(f"{comparison} and ")))
X = np.linspace(10, 20, 3_000_000)
with interruptible("nothing was written"):
    print("begun", flush=True)
    select(expression, {"X": X}, len(X))
    print("done")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_longest_selection_over_many_rows_is_ended_by_a_signal(number):
    process = subprocess.Popen(
        [sys.executable, "-c", SELECTING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.2)
    process.send_signal(number)
    told, said = process.communicate(timeout=PATIENCE)
    assert told == ""
    assert f"stopped by {number.name}; nothing was written" in said


def test_a_block_that_ends_well_leaves_no_thread():
    with interruptible():
        pass
    while any(thread.name == "signals" for thread in threading.enumerate()):
        time.sleep(0.01)
