"""Handing out tiles to real Dask workers on several hosts, of which some die, fail or refuse."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, Future, LocalCluster, Scheduler
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.security import Security

from photoz_run.config import ClusterConfig
from photoz_run.errors import ConfigError
from photoz_run.records import Status, TileOutcome
from photoz_run.run import dispatch, driver
from photoz_run.run.cluster import SETTINGS, TLS_FILES, existing_client
from photoz_run.run.dispatch import Dispatcher
from photoz_run.run.ledger import RunDirectory
from photoz_run.run.manifest import make_manifest
from photoz_run.run.plan import find_run_tiles
from photoz_run.run.progress import Progress
from photoz_run.run.task import TileTask, make_tasks
from support import crash
from support.hosts import config_of, run_on, statuses
from support.many_tiles import copies, stub_tiles
from support.runs import in_process, options, outcome, start_command

INNOCENT = tuple(f"KIDS_{k}.0_-31.2" for k in range(6))
ABORTS, KILLED, TOLD, BAD_TABLE = (f"KIDS_{k}.0_-31.2" for k in (90, 91, 92, 93))
PATIENCE = 300.0
"""Seconds in which what must come comes, on a machine however busy."""


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    from support.tiles import make_tile

    return make_tile(tmp_path_factory.mktemp("one"), "KIDS_0.0_-31.2", products=("sci",), number=12)


def test_deadly_tiles_are_quarantined_alone_and_their_neighbours_are_done(
    tile, bundle, tmp_path, monkeypatch
):
    deadly = {ABORTS: "abort", KILLED: "kill", TOLD: "term"}
    data = copies(tile, tmp_path / "data", [*INNOCENT, *deadly, BAD_TABLE])
    how = {crash.coadds(name): what for name, what in deadly.items()} | {
        "*_93.0_*_cat.fits": "abort"
    }
    summary, _ = run_on(
        monkeypatch, {"alpha": how, "beta": how}, config_of(data, bundle, tmp_path / "out")
    )
    expected = dict.fromkeys(INNOCENT, "DONE") | dict.fromkeys([*deadly, BAD_TABLE], "QUARANTINED")
    assert statuses(summary) == expected
    alone = "its process, which measured nothing else, was ended by"
    reasons = {name: outcome(tmp_path / "out", name)["reason"] for name in [*deadly, BAD_TABLE]}
    assert reasons == {
        ABORTS: f"{ABORTS}: {alone} SIGABRT: a library crashed",
        KILLED: f"{KILLED}: {alone} SIGKILL: out of memory?",
        TOLD: f"{TOLD}: {alone} SIGTERM",
        BAD_TABLE: f"{BAD_TABLE}: {alone} SIGABRT: a library crashed",
    }
    tries = {name: len(outcome(tmp_path / "out", name)["earlier"]) for name in [*deadly, BAD_TABLE]}
    assert tries == {ABORTS: 1, KILLED: 2, TOLD: 2, BAD_TABLE: 1}
    assert outcome(tmp_path / "out", ABORTS)["catalogue_rows"] == 12
    assert outcome(tmp_path / "out", BAD_TABLE)["catalogue_rows"] is None


def test_tiles_whose_answer_is_lost_with_its_worker_are_measured_again_and_nobody_is_blamed(
    tile, bundle, tmp_path, monkeypatch
):
    killed: list[int] = []
    genuine = Dispatcher._settle

    def settle(dispatcher: Dispatcher, future: Future[Any]) -> list[TileOutcome]:
        if not killed:
            (before,) = future.client.nthreads()
            killed.extend(future.client.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)
            wait_until(lambda: before not in future.client.nthreads())
        return genuine(dispatcher, future)

    monkeypatch.setattr(Dispatcher, "_settle", settle)
    monkeypatch.setattr(dispatch, "ANSWER_SECONDS", 1.0)
    data = copies(tile, tmp_path / "data", INNOCENT)
    config = config_of(data, bundle, tmp_path / "out")
    summary, _ = run_on(monkeypatch, {"alpha": {}}, config)
    assert statuses(summary) == dict.fromkeys(INNOCENT, "DONE")
    assert {outcome(tmp_path / "out", name)["attempt"] for name in INNOCENT} == {1}


def test_hosts_that_fail_or_refuse_everything_are_avoided_and_no_tile_is_blamed(
    tile, bundle, tmp_path, monkeypatch
):
    names = [f"KIDS_{k}.0_-31.2" for k in range(20)]
    data = copies(tile, tmp_path / "data", names)
    hosts = {
        "sound": {},
        "black": {"*_sci.fits": "missing"},
        "bare": {"*.onnx": "missing"},
        "shaky": {"*_r_sci.fits": "stumble"},
    }
    out = tmp_path / "out"
    summary, told = run_on(monkeypatch, hosts, config_of(data, bundle, out))
    assert statuses(summary) == dict.fromkeys(names, "DONE")
    assert not list((out / "quarantine").rglob("*.json"))
    avoided = {line.split()[1]: line for line in told if "gets no tiles" in line}
    assert {"black", "bare"} <= set(avoided) <= {"black", "bare", "shaky"}
    assert "No such file" in avoided["bare"] or "cannot be read" in avoided["bare"]
    assert "tile after tile failed there" in avoided["black"]
    # What happened before is in the records of the tiles, and comes back from them.
    recorded = RunDirectory(out).outcomes()
    assert recorded == dict(summary.outcomes)
    earlier = {
        (failure.host, failure.error) for record in recorded.values() for failure in record.earlier
    }
    assert earlier == {("black", "BadDataError"), ("shaky", "TransientError")}
    assert {record.host.partition(":")[0] for record in recorded.values()} == {"sound"}


def test_the_scheduler_never_has_more_to_do_than_there_are_workers_and_forgets_what_is_done(
    bundle, tmp_path, monkeypatch
):
    names = stub_tiles(tmp_path / "data", 200)

    class Watch(SchedulerPlugin):
        unfinished = held = 0

        def transition(self, key, start, finish, *_, **__):
            tasks = scheduler.tasks.values()
            self.held = max(self.held, len(tasks))
            self.unfinished = max(
                self.unfinished, sum(task.state in ("waiting", "processing") for task in tasks)
            )

    watch = Watch()

    @contextmanager
    def client(_config, _left):
        with (
            dask.config.set(SETTINGS),
            LocalCluster(
                n_workers=3, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
            ) as cluster,
            Client(cluster) as client,
        ):
            nonlocal scheduler
            scheduler = cluster.scheduler
            scheduler.add_plugin(watch)
            yield client

    scheduler: Scheduler | None = None
    monkeypatch.setattr(driver, "open_client", client)
    summary = driver.run(
        config_of(tmp_path / "data", bundle, tmp_path / "out"), Progress(quiet=True)
    )
    assert summary.count(Status.NO_WORK) == len(names)
    assert 1 <= watch.unfinished <= 3
    assert watch.held <= 6
    assert scheduler is not None
    assert not scheduler.tasks
    assert not scheduler.task_groups
    assert len(scheduler.task_prefixes) <= 3


def test_what_travels_is_small(dr5_tile, bundle, model, tmp_path, monkeypatch):
    many = [f"KIDS_{k / 10:.1f}_-0.5" for k in range(3600)]
    config = config_of(dr5_tile.folder, bundle, tmp_path / "out", tiles=[dr5_tile.name])
    refs = find_run_tiles(config)
    named = config.model_copy(update={"tiles": (*many, dr5_tile.name)})
    provenance = make_manifest(config, refs, model).provenance
    (task,) = make_tasks(list(refs.values()), named, bundle, provenance, 2)
    assert len(task.ref.paths()) == 16
    assert len(pickle.dumps(task)) < 8192
    assert in_process(monkeypatch, options(dr5_tile.folder, bundle, tmp_path / "out")) == 0
    (record,) = RunDirectory(tmp_path / "out").outcomes().values()
    assert len(pickle.dumps(record)) < 2048
    assert {field.name for field in fields(TileTask)} == {
        "ref",
        "config",
        "model",
        "run",
        "sharing",
        "earlier",
        "limit",
        "place",
    }


@pytest.fixture
def certificates(tmp_path, monkeypatch) -> Security:
    """Those of one authority, in Dask's configuration by environment variables for children."""
    security = Security.temporary()
    for name in TLS_FILES:
        path = tmp_path / f"{name}.pem"
        path.touch(mode=0o600)
        path.write_text(getattr(security, name))
    keys = {"CA_FILE": "tls_ca_file"}
    for role in ("scheduler", "worker", "client"):
        keys |= {
            f"{role.upper()}__{part.upper()}": f"tls_{role}_{part}" for part in ("cert", "key")
        }
    files = {
        f"DASK_DISTRIBUTED__COMM__TLS__{key}": str(tmp_path / f"{name}.pem")
        for key, name in keys.items()
    }
    for name, value in files.items():
        monkeypatch.setenv(name, value)
    return security


@contextmanager
def started(
    folder: Path, *words: str | Path, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of Dask as an operator starts it, killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *map(str, words)],
        cwd=folder,
        env=os.environ | environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[Any]") -> None:
    wait_until(lambda: condition() or process.poll() is not None)
    assert process.poll() is None


def wait_until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.02)


def other_version(folder: Path) -> Path:
    """The same program, built from another commit."""
    import photoz_models
    import photoz_run

    for package in (photoz_run, photoz_models):
        source = Path(package.__file__).parent
        shutil.copytree(
            source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__", "commit.txt")
        )
    (folder / "photoz_run" / "commit.txt").write_text("0123456789ab\n")
    return folder


def without_program(folder: Path) -> str:
    """A path for Python on which photoz-run cannot be imported."""
    (folder / "photoz_run").mkdir(parents=True)
    (folder / "photoz_run" / "__init__.py").write_text("raise ImportError('not installed here')\n")
    return str(folder)


def wait_to_be_told(process: "subprocess.Popen[str]", words: Collection[str]) -> str:
    """What a process has said until it had said all these words."""
    assert process.stderr is not None
    said = ""
    while not all(word in said for word in words):
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def test_a_scheduler_that_runs_already_is_used_over_tls_until_it_is_lost(
    tile, bundle, tmp_path, monkeypatch, certificates
):
    crash.arm(monkeypatch)
    hold = crash.Hold(tmp_path / "held")
    file = tmp_path / "scheduler.json"
    where = ["--scheduler-file", file]
    site = os.environ["PYTHONPATH"]
    other = {"PYTHONPATH": os.pathsep.join([str(other_version(tmp_path / "other")), site])}
    worker = [
        "worker",
        *where,
        "--protocol",
        "tls",
        "--no-nanny",
        "--nthreads",
        "1",
        "--no-dashboard",
    ]
    nowhere = without_program(tmp_path / "without")
    data = copies(tile, tmp_path / "data", INNOCENT)
    with (
        started(
            tmp_path,
            "scheduler",
            *where,
            "--protocol",
            "tls",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
        ) as scheduler,
        started(tmp_path, *worker, SLURMD_NODENAME="outdated", **other),
        started(tmp_path, *worker, PYTHONPATH=nowhere),
        started(tmp_path, *worker, **hold.variables | {"SLURMD_NODENAME": "right"}),
    ):
        wait_for(file.exists, scheduler)
        with Client(scheduler_file=str(file), security=certificates, timeout=PATIENCE) as client:
            client.wait_for_workers(3, timeout=PATIENCE)
        arguments = options(data, bundle, tmp_path / "out", "--scheduler-file", str(file))
        hold.hold(*INNOCENT)
        running = start_command(arguments)
        told = wait_to_be_told(
            running,
            (
                "host outdated gets no tiles for now: outdated has photoz-run",
                "0123456789ab, the run was planned with",
                "host 127.0.0.1 gets no tiles for now: 127.0.0.1 cannot import photoz-run",
            ),
        )
        hold.let_go(*INNOCENT)
        _, said = running.communicate(timeout=PATIENCE)
        assert running.returncode == 0, told + said
        records = RunDirectory(tmp_path / "out").outcomes().values()
        assert {(record.status, record.host.partition(":")[0]) for record in records} == {
            ("DONE", "right")
        }

        hold.hold(ABORTS)
        copies(tile, data, [ABORTS])
        running = start_command([*arguments, "--restart"])
        log = RunDirectory(tmp_path / "out").log(ABORTS)
        wait_for(log.exists, running)
        scheduler.kill()
        _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 75, said
    assert said.splitlines()[-1] == (
        "photoz-run: the Dask scheduler is lost; finished tiles are kept, the same command resumes"
    )
    assert "Traceback" not in said


def test_a_scheduler_without_encryption_is_refused_unless_that_is_asked_for(tmp_path):
    with LocalCluster(
        n_workers=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
        protocol="tcp",
    ) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tcp://")
        with (
            pytest.raises(ConfigError, match=f"scheduler {address} cannot be used: .*"),
            existing_client(ClusterConfig(scheduler=address)),
        ):
            pass
        with existing_client(ClusterConfig(scheduler=address, tls=False)) as client:
            assert client.submit(sum, [1, 2]).result(timeout=PATIENCE) == 3


def test_a_scheduler_without_the_program_is_refused_in_one_line(tmp_path):
    file = tmp_path / "scheduler.json"
    nowhere = without_program(tmp_path / "without")
    words = (
        "scheduler",
        "--scheduler-file",
        file,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
    )
    with started(tmp_path, *words, PYTHONPATH=nowhere) as scheduler:
        wait_for(file.exists, scheduler)
        refusal = pytest.raises(
            ConfigError, match=r"scheduler .*scheduler.json cannot import photoz-run .*: install"
        )
        with refusal, existing_client(ClusterConfig(scheduler_file=file, tls=False)):
            pass
