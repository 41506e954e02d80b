"""Time, memory and what a host lacks: the worker ends or rests, and no other tile is blamed."""

import errno
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest
from distributed import Future

from photoz_run.config import RunConfig
from photoz_run.errors import HostError, TransientError
from photoz_run.records import TileOutcome
from photoz_run.run import machine
from photoz_run.run.dispatch import Dispatcher
from photoz_run.run.limits import lacking, out_of_memory
from photoz_run.run.task import FIRST_LIMIT, LEAST_LIMIT, TileTask, time_limit
from photoz_run.sizes import memory_bytes
from support import crash
from support.hosts import config_of, run_on, statuses
from support.many_tiles import copies
from support.runs import outcome
from support.tiles import make_tile

NAMES = tuple(f"KIDS_{k}.0_-31.2" for k in range(4))


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    return make_tile(tmp_path_factory.mktemp("one"), NAMES[0], products=("sci",), number=12)


def test_a_tile_that_hangs_or_takes_all_memory_ends_its_workers_and_is_quarantined_alone(
    tile, bundle, tmp_path, monkeypatch
):
    hangs, eats = NAMES[1], NAMES[2]
    data = copies(tile, tmp_path / "data", NAMES)
    how = {crash.coadds(hangs): "hang", crash.coadds(eats): "eat"}
    config = config_of(data, bundle, tmp_path / "out", attempts=2, worker_memory="1.5GB")
    genuine = Dispatcher._next_tasks

    def next_tasks(dispatcher: Dispatcher, host: str) -> tuple[TileTask, ...]:
        """Others have time, on a machine however busy."""
        tasks = genuine(dispatcher, host)
        return tuple(replace(task, limit=9.0) if task.ref.tile == hangs else task for task in tasks)

    monkeypatch.setattr(Dispatcher, "_next_tasks", next_tasks)
    summary, _ = run_on(monkeypatch, {"alpha": how}, config)
    expected = dict.fromkeys(NAMES, "DONE") | {hangs: "QUARANTINED", eats: "QUARANTINED"}
    assert statuses(summary) == expected
    reason = outcome(tmp_path / "out", hangs)["reason"]
    assert reason.startswith(f"{hangs}: ended on ")
    assert "because it took longer than 0.15 min; see its log for where it was" in reason
    log = (tmp_path / "out" / "logs" / "KIDS_1" / f"{hangs}.log").read_text()
    assert "Timeout (0:00:09" in log
    assert "sitecustomize.py" in log
    assert outcome(tmp_path / "out", eats)["reason"] == (
        f"{eats}: needs more memory than a worker may take (worker_memory)"
    )
    assert [len(outcome(tmp_path / "out", name)["earlier"]) for name in NAMES] == [0, 1, 1, 0]


def test_a_host_without_descriptors_rests_and_is_given_up_and_no_tile_is_blamed(
    tile, bundle, tmp_path, monkeypatch
):
    data = copies(tile, tmp_path / "data", NAMES)
    config = config_of(data, bundle, tmp_path / "out")
    with pytest.raises(HostError, match="bare: too many open files, ulimit -n"):
        run_on(monkeypatch, {"bare": {"*_sci.fits": "poor"}}, config)
    assert not list((tmp_path / "out" / "quarantine").rglob("*.json"))

    summary, told = run_on(monkeypatch, {"bare": {"*_sci.fits": "poor"}, "sound": {}}, config)
    assert statuses(summary) == dict.fromkeys(NAMES, "DONE")
    assert [len(outcome(tmp_path / "out", name)["earlier"]) for name in NAMES] == [0] * 4
    assert any(
        line.startswith("host bare rests, no tile is blamed: bare: too many") for line in told
    )


def test_a_worker_that_ends_lives_until_the_driver_has_its_answer(
    tile, bundle, tmp_path, monkeypatch
):
    genuine = Dispatcher._settle

    def settle_late(dispatcher: Dispatcher, future: Future[Any]) -> list[TileOutcome]:
        time.sleep(1.5)
        return genuine(dispatcher, future)

    monkeypatch.setattr(Dispatcher, "_settle", settle_late)
    data = copies(tile, tmp_path / "data", NAMES[:2])
    config = config_of(data, bundle, tmp_path / "out")
    summary, told = run_on(monkeypatch, {"bare": {"*_sci.fits": "poor"}, "sound": {}}, config)
    assert statuses(summary) == dict.fromkeys(NAMES[:2], "DONE")
    assert [len(outcome(tmp_path / "out", name)["earlier"]) for name in NAMES[:2]] == [0, 0]
    assert any(line.startswith("host bare rests, no tile is blamed") for line in told)


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "too many open files, ulimit -n"),
        (OSError(errno.ENFILE, "table overflow"), "too many open files on the machine"),
        (RuntimeError("can't start new thread"), "no more threads, ulimit -u"),
        (HostError("no scratch here"), "no scratch here"),
        (OSError(errno.EIO, "Input/output error"), ""),
        (ValueError("odd"), ""),
    ],
)
def test_what_a_host_lacks_is_seen_through_what_libraries_make_of_it(error, lack):
    assert lacking(error) == lack
    outer = TransientError("r_sci.fits: something")
    outer.__cause__ = error
    assert lacking(outer) == lack


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate memory")])
def test_of_an_allocation_that_failed_the_machine_is_guilty_if_it_has_no_memory(error, monkeypatch):
    assert out_of_memory(error)
    monkeypatch.setattr(machine, "free_memory", lambda: 2 << 30)
    assert lacking(error) == ""
    monkeypatch.setattr(machine, "free_memory", lambda: 1 << 29)
    assert lacking(error) == "no memory is free"


def test_the_limit_of_time_is_generous_and_grows_with_what_tiles_have_taken(tmp_path):
    config = RunConfig(tiles=("all",), data=(tmp_path,), out=tmp_path)
    limits = [time_limit(config, longest) for longest in (None, 10.0, 1000.0)]
    assert limits == [FIRST_LIMIT, LEAST_LIMIT, 20_000.0]
    assert time_limit(config.model_copy(update={"tile_minutes": 2.0}), 1000.0) == 120.0


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4 * 10**9), ("512 MiB", 512 << 20), ("1.5G", 1_500_000_000), ("4096", 4096)],
)
def test_a_size_is_read_as_batch_systems_read_it(text, size):
    assert memory_bytes(text) == size
    with pytest.raises(ValueError, match="give a size such as 4GB"):
        memory_bytes(f"{text} or so")


def test_the_limit_of_open_files_is_raised_or_the_run_ends_in_one_line(dr4_tile, bundle, tmp_path):
    script = (
        "import resource, sys\n"
        "from photoz_run.run.limits import check_open_files\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 300))\n"
        "check_open_files(20, beside=True)\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
        "check_open_files(31, beside=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "300\n"
    assert (
        "allows 300 open files, 309 are needed for 31 workers:"
        " give fewer --workers, or raise ulimit -n" in done.stderr
    )
