"""Retries, workers and the cluster: what the driver promises if not all goes well."""

import itertools
import json
import os
import signal
import threading
import time
from contextlib import contextmanager

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client, get_worker
from distributed.security import Security

from photoz_models.session import available_threads
from photoz_run.errors import BadDataError, OutputError, StoppedRunError, TransientError
from photoz_run.records import Status, TileOutcome
from photoz_run.run import dispatch, driver, planned, worker
from photoz_run.run.cluster import local_client
from photoz_run.run.interruption import interruptible
from photoz_run.run.progress import Progress
from photoz_run.tile import process_tile
from support import runs
from support.bundles import closed_form_bundle
from support.runs import in_process, options, outcome
from support.tiles import make_tile

PATIENCE = 300.0
"""Seconds in which what must come comes, on a machine however busy."""


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(dispatch, "BACKOFF_SECONDS", 0.0)


def failing(monkeypatch, times: int, error: Exception) -> list[int]:
    """Let the first ``times`` tries of a tile fail; the tries are counted in the list returned."""
    tries: list[int] = []

    def fails_first(*arguments):
        tries.append(len(tries) + 1)
        if len(tries) <= times:
            raise error
        return process_tile(*arguments)

    monkeypatch.setattr(worker, "process_tile", fails_first)
    return tries


def test_a_failure_that_passes_is_tried_again(dr4_tile, bundle, tmp_path, monkeypatch):
    tries = failing(monkeypatch, 2, TransientError("r_sci.fits: Input/output error"))
    assert in_process(monkeypatch, options(dr4_tile.folder, bundle, tmp_path / "out")) == 0
    record = outcome(tmp_path / "out", dr4_tile.name)
    assert (record["status"], record["attempt"], len(tries)) == ("DONE", 3, 3)


def test_a_failure_that_does_not_pass_is_quarantined_after_the_last_try(
    dr4_tile, bundle, tmp_path, monkeypatch
):
    tries = failing(monkeypatch, 99, TransientError("r_sci.fits: Input/output error"))
    (tmp_path / "two.toml").write_text("attempts = 2\n")
    arguments = options(
        dr4_tile.folder, bundle, tmp_path / "out", "--config", str(tmp_path / "two.toml")
    )
    assert in_process(monkeypatch, arguments) == 3
    record = outcome(tmp_path / "out", dr4_tile.name)
    assert (record["status"], record["error"], len(tries)) == ("QUARANTINED", "TransientError", 2)
    assert record["reason"] == f"{dr4_tile.name}: r_sci.fits: Input/output error"


def test_bad_data_are_not_tried_again(dr4_tile, bundle, tmp_path, monkeypatch):
    tries = failing(monkeypatch, 99, BadDataError("r_sci.fits: truncated"))
    assert in_process(monkeypatch, options(dr4_tile.folder, bundle, tmp_path / "out")) == 3
    assert len(tries) == 1


def test_a_bug_quarantines_its_tile_with_the_traceback(dr4_tile, bundle, tmp_path, monkeypatch):
    failing(monkeypatch, 99, ZeroDivisionError("division by zero"))
    assert in_process(monkeypatch, options(dr4_tile.folder, bundle, tmp_path / "out")) == 3
    record = outcome(tmp_path / "out", dr4_tile.name)
    assert (record["status"], record["error"]) == ("QUARANTINED", "ZeroDivisionError")
    assert "fails_first" in record["traceback"]


def test_output_that_cannot_be_written_ends_the_run_and_blames_no_tile(
    dr4_tile, bundle, tmp_path, monkeypatch, capsys
):
    failing(
        monkeypatch,
        1,
        OutputError("out/tiles/x.parquet: cannot be written (No space left on device)"),
    )
    arguments = options(dr4_tile.folder, bundle, tmp_path / "out")
    assert in_process(monkeypatch, arguments) == 75
    assert "No space left on device" in capsys.readouterr().err
    assert not list((tmp_path / "out" / "quarantine").iterdir())
    assert in_process(monkeypatch, arguments) == 0


def test_a_model_exchanged_during_the_run_is_refused(
    dr4_tile, bundle, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "model.onnx"
    closed_form_bundle(path)
    genuine = planned.make_manifest

    def exchange(*arguments):
        worker._load.cache_clear()
        closed_form_bundle(path, version="2")
        return genuine(*arguments)

    monkeypatch.setattr(planned, "make_manifest", exchange)
    arguments = options(dr4_tile.folder, path, tmp_path / "out")
    assert in_process(monkeypatch, arguments) == 2
    assert (
        "the file has changed since the run was planned; start the run again"
        in capsys.readouterr().err
    )


def test_an_exchanged_magnitude_table_is_another_run(
    dr4_tile, bundle, tmp_path, monkeypatch, capsys
):
    table = {"ID": dr4_tile.id_N.tolist(), "RAJ2000": dr4_tile.ra_N, "DECJ2000": dr4_tile.dec_N}
    table |= {f"MAG_GAAP_{band}": values for band, values in dr4_tile.magnitudes.items()}
    pq.write_table(pa.table(table), tmp_path / "mags.parquet")
    arguments = options(
        dr4_tile.folder, bundle, tmp_path / "out", "--magnitudes", str(tmp_path / "mags.parquet")
    )
    assert in_process(monkeypatch, arguments) == 0
    assert "magnitudes matched: 40" in capsys.readouterr().out
    pq.write_table(pa.table(table).slice(1), tmp_path / "mags.parquet")
    assert in_process(monkeypatch, arguments) == 2
    assert "holds a run with another setting: magnitudes_digest was" in capsys.readouterr().err


def test_a_connection_without_the_runs_certificate_is_refused():
    with local_client(1) as client:
        assert client.submit(sum, [1, 2]).result(timeout=PATIENCE) == 3
        address = client.scheduler_info()["address"]
        assert address.startswith("tls://127.0.0.1:")
        for stranger in (
            {"address": address.replace("tls://", "tcp://")},
            {"address": address, "security": Security.temporary()},
        ):
            with pytest.raises((OSError, TypeError, RuntimeError)):
                Client(**stranger, timeout=2)
        assert client.submit(sum, [3, 4]).result(timeout=PATIENCE) == 7
        me = psutil.Process()
        ports = [
            c
            for process in (me, *me.children(recursive=True))
            for c in process.net_connections()
            if c.status == "LISTEN"
        ]
        assert ports
        assert {connection.laddr.ip for connection in ports} <= {"127.0.0.1", "::1"}


def test_a_signal_in_the_block_is_an_interruption_and_after_it_is_not():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        before = signal.getsignal(number)
        with pytest.raises(StoppedRunError, match=f"stopped by {number.name}"), interruptible():
            signal.raise_signal(number)
        assert signal.getsignal(number) is before


def test_a_signal_before_the_first_tile_is_an_interruption_too(
    dr4_tile, bundle, tmp_path, monkeypatch
):
    monkeypatch.setattr(driver, "plan_run", lambda *_: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(StoppedRunError, match="stopped by SIGTERM; finished tiles are kept"):
        in_process(monkeypatch, options(dr4_tile.folder, bundle, tmp_path / "out"))


def test_workers_are_counted_by_affinity(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert available_threads() == 1


def test_a_batch_log_has_a_heartbeat_with_rate_and_time_left(capsys):
    progress = Progress(heartbeat=0.02)
    said = ""
    with progress.of(4, {}):
        progress.beat(workers=2)
        progress.advance(
            TileOutcome("KIDS_1.0_0.5", Status.DONE, "", "", rows_in=500, rows_out=500)
        )
        bad = TileOutcome(
            "KIDS_2.0_0.5",
            Status.QUARANTINED,
            "",
            "",
            error="BadDataError",
            reason="KIDS_2.0_0.5: broken",
        )
        progress.advance(bad)
        while said.count("2/4 tiles") < 2:
            time.sleep(0.01)
            said += capsys.readouterr().err
    assert "quarantined KIDS_2.0_0.5" in said
    beats = [line for line in said.splitlines() if "2/4 tiles" in line]
    assert "galaxies/s" in beats[-1]
    assert "1 quarantined" in beats[-1]
    assert "s left" in beats[-1]


def test_quiet_progress_says_nothing(capsys):
    with Progress(quiet=True).of(3, {}):
        pass
    said = capsys.readouterr()
    assert said.out + said.err == ""


def test_summary_json_stands_in_the_run_directory(dr4_tile, bundle, tmp_path, monkeypatch):
    assert in_process(monkeypatch, options(dr4_tile.folder, bundle, tmp_path / "out")) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["rows"] == 40


def test_a_tile_whose_worker_retires_is_measured_by_another_and_nobody_is_blamed(
    bundle, tmp_path, monkeypatch
):
    tile = make_tile(tmp_path / "data")
    one_worker, clients, tried_again = runs.thread_client, [], threading.Event()
    calls = itertools.count(1)

    @contextmanager
    def two_workers(config, demand):
        with one_worker(config, demand) as client:
            client.cluster.scale(2)
            client.wait_for_workers(2)
            clients.append(client)
            yield client

    def retires_first(*arguments):
        if next(calls) == 1:
            leave = threading.Thread(
                target=clients[0].retire_workers, args=([get_worker().address],)
            )
            leave.start()
            assert tried_again.wait(PATIENCE)
        tried_again.set()
        return process_tile(*arguments)

    monkeypatch.setattr(worker, "process_tile", retires_first)
    monkeypatch.setattr(runs, "thread_client", two_workers)
    assert in_process(monkeypatch, options(tile.folder, bundle, tmp_path / "out")) == 0
    record = outcome(tmp_path / "out", tile.name)
    assert (record["status"], record["attempt"], record["earlier"], next(calls)) == (
        "DONE",
        1,
        [],
        3,
    )


@pytest.mark.parametrize(("kind", "private"), [("slurm", True), ("local", False)])
def test_files_of_a_run_with_keys_are_the_users_alone(
    dr4_tile, bundle, tmp_path, monkeypatch, kind, private
):
    before = os.umask(0o022)
    try:
        arguments = options(dr4_tile.folder, bundle, tmp_path / "out", "--cluster", kind)
        assert in_process(monkeypatch, [*arguments, "--workers", "1"]) == 0
    finally:
        os.umask(before)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    modes = {path.stat().st_mode & 0o777 for path in files}
    assert modes == ({0o600} if private else {0o644})
