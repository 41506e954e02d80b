"""The fate of a tile: what each end of a try makes of it, in the first try and in the last."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from photoz_run.config import RunConfig
from photoz_run.errors import BadDataError, TransientError
from photoz_run.records import Failure, Status, TileOutcome, TileRef, TileResult
from photoz_run.run.ledger import RunDirectory
from photoz_run.run.task import LOST_WORKER, TileTask, Try, record
from support.release_rows import RUN

TILE = "KIDS_180.0_-0.5"
LOST = Failure("node-1", LOST_WORKER, "it was lost")
SLOW = Failure("node-2", "TransientError", "no answer")


def task_of(out: Path, *earlier: Failure) -> TileTask:
    """A try of a tile without files, the last of three if two went before."""
    config = RunConfig(tiles=("all",), data=(out,), out=out, attempts=3)
    return TileTask(TileRef(TILE, "DR5", None, {}), config, out / "model.onnx", RUN, 1, earlier)


def end_by(error: Exception):
    return lambda this_try: this_try.failed(error)


def end_of_process(exit_status: int):
    return lambda this_try: this_try.ended(exit_status, 17)


@pytest.mark.parametrize(
    ("end", "first", "last"),
    [
        (lambda t: t.measured(TileResult(rows_in=2, rows_out=2)), Status.DONE, Status.DONE),
        (lambda t: t.measured(TileResult()), Status.NO_WORK, Status.NO_WORK),
        (end_by(TransientError("no answer")), Status.FAILED, Status.QUARANTINED),
        (end_by(BadDataError("cut off")), Status.QUARANTINED, Status.QUARANTINED),
        (end_by(ZeroDivisionError()), Status.QUARANTINED, Status.QUARANTINED),
        (lambda t: t.lost("node-3"), Status.FAILED, Status.QUARANTINED),
        (end_of_process(-signal.SIGTERM), Status.FAILED, Status.QUARANTINED),
        (lambda t: t.overdue("node-3"), Status.FAILED, Status.QUARANTINED),
        (lambda t: t.starved(), Status.FAILED, Status.QUARANTINED),
        (end_of_process(-signal.SIGKILL), Status.FAILED, Status.QUARANTINED),
        (end_of_process(-signal.SIGSEGV), Status.QUARANTINED, Status.QUARANTINED),
        (end_of_process(1), Status.QUARANTINED, Status.QUARANTINED),
    ],
)
def test_only_a_failure_that_may_pass_is_tried_again(end, first, last, tmp_path):
    for earlier, status in (((), first), ((LOST, SLOW), last)):
        outcome = end(Try.start(task_of(tmp_path, *earlier), "node-3:17", "cpu"))
        assert outcome.status is status
        assert (outcome.attempt, outcome.earlier) == (len(earlier) + 1, earlier)
        assert (outcome.tile, outcome.run_digest) == (TILE, RUN.run_digest)
        record(outcome, RunDirectory(tmp_path / "run"))
        recorded = RunDirectory(tmp_path / "run").outcomes()
        assert recorded.get(TILE) == (None if status is Status.FAILED else outcome)


@pytest.mark.parametrize(
    ("exit_status", "cause"),
    [
        (-signal.SIGTERM, "ended by SIGTERM"),
        (-signal.SIGKILL, "ended by SIGKILL: out of memory?"),
        (-signal.SIGBUS, "ended by SIGBUS: a library crashed"),
        (3, "ended by exit status 3: a library crashed"),
    ],
)
def test_a_process_that_ended_is_told_by_its_signal(exit_status, cause, tmp_path):
    outcome = Try.start(task_of(tmp_path)).ended(exit_status, 17)
    assert outcome.reason.endswith(cause)
    assert (outcome.error, outcome.catalogue_rows) == (LOST_WORKER, 17)


def test_the_last_loss_of_a_worker_counts_all_of_them(tmp_path):
    outcome = Try.start(task_of(tmp_path, LOST, SLOW)).lost("node-1")
    assert "its worker was lost each time (node-1 2 times)" in outcome.reason


def test_only_a_bug_leaves_a_traceback(tmp_path):
    def outcome_of(error: Exception) -> TileOutcome:
        try:
            raise error
        except Exception as raised:  # noqa: BLE001 - as at the border of a tile
            return Try.start(task_of(tmp_path)).failed(raised)

    assert "in outcome_of" in outcome_of(KeyError("x")).traceback
    assert outcome_of(BadDataError("cut off")).traceback == ""
    assert outcome_of(TransientError("no answer")).traceback == ""


def test_rows_that_got_lost_are_a_bug(tmp_path):
    with pytest.raises(AssertionError, match="3 sources in, 2 rows out"):
        Try.start(task_of(tmp_path)).measured(TileResult(rows_in=3, rows_out=2))


def test_a_quarantined_tile_has_no_file_under_its_final_name(tmp_path):
    directory, task = RunDirectory(tmp_path), task_of(tmp_path)
    folder = directory.tile_folder(TILE)
    folder.mkdir(parents=True)
    record(Try.start(task).measured(TileResult(rows_in=2, rows_out=2)), directory)
    for suffix in (".parquet", ".fits"):
        (folder / f"{TILE}{suffix}").touch()
    record(Try.start(task).failed(BadDataError("cut off")), directory)
    assert not list(folder.glob(f"{TILE}*"))


def test_a_process_of_a_suspect_whose_worker_is_gone_ends_without_a_word():
    worker = subprocess.Popen(["true"])
    worker.wait()
    command = [sys.executable, "-m", "photoz_run.run.alone", str(worker.pid)]
    alone = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    assert (alone.returncode, alone.stdout, alone.stderr) == (0, b"", b"")
