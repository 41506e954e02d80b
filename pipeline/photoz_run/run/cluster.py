"""The workers of a run: processes here, jobs of a batch system, or those of a running scheduler.

A certificate made for the run encrypts and authenticates: an open Dask port is a shell for
everybody who reaches it. A dashboard answers everybody on its machine: there is none unless it is
asked for.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.security import Security

from photoz_models.session import available_threads
from photoz_run.config import ClusterConfig, RunConfig
from photoz_run.errors import ConfigError, HostError, OutputError
from photoz_run.interrupts import children_undisturbed
from photoz_run.run.batch_systems import SYSTEMS
from photoz_run.run.demand import Demand
from photoz_run.run.fork_server import fork_server
from photoz_run.run.gpus import usable_gpus
from photoz_run.run.jobs import job_settings, processes, start_jobs
from photoz_run.run.local import LocalWorkers, reason
from photoz_run.run.replacing import refusable
from photoz_run.run.tile_log import node_name
from photoz_run.run.worker import introduce

SETTINGS = {
    # One tile a worker: nothing to steal, and the first lost worker tells which tile was on it.
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.allowed-failures": 0,
    "distributed.comm.timeouts.connect": "60s",
}

DASHBOARD = "127.0.0.1:0"
"""Where Dask's pages would be: on loopback, at any port."""

WITHOUT_PAGES: dict[str, list[str]] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}

FORKS = {"distributed.worker.multiprocessing-method": None}
"""Python's own choice, which `fork_server` makes; if Dask makes it, it imports pandas here."""

CERTIFICATES = ".tls-"
"""How the names of their folders begin."""

PATIENCE_SECONDS = 60.0
"""What the last of a group of jobs may start later than the first."""

WAIT_SECONDS, QUEUE_SECONDS = 600.0, 86400.0
"""Longest times without any worker, here and where workers are batch jobs, if none is set."""

ROLES = ("scheduler", "worker", "client")
TLS_FILES = ("tls_ca_file", *(f"tls_{role}_{part}" for role in ROLES for part in ("cert", "key")))


@contextmanager
def open_client(config: RunConfig, demand: Demand) -> Iterator[Client]:
    """A client of the workers that ``config`` asks for.

    No more workers are asked for than ``demand`` has tiles for. What was started for the run ends
    with the block.
    """
    pages = {} if config.cluster.dashboard else WITHOUT_PAGES
    with dask.config.set(SETTINGS | pages), _silent_dask():
        if config.cluster.scheduler or config.cluster.scheduler_file:
            opened = existing_client(config.cluster)
        elif config.cluster.kind == "local":
            number = local_workers(config, demand.useful)
            gpus = () if config.provider == "cpu" else usable_gpus(os.environ)
            opened = local_client(number, demand, config.cluster.dashboard, gpus)
        else:
            opened = job_client(config, demand)
        with opened as client:
            if config.cluster.dashboard:
                demand.say(f"dashboard: {client.dashboard_link}")
            yield client


@contextmanager
def _silent_dask() -> Iterator[None]:
    """Keep Dask's own remarks back: this program notices a loss too, and says it in one line."""
    loggers = [
        logging.getLogger(name)
        for name in logging.root.manager.loggerDict
        if name.startswith(("distributed", "tornado", "asyncio"))
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def local_workers(config: RunConfig, tiles: int) -> int:
    """Worker processes on this machine: as asked for, or one a core; never more than tiles."""
    _, high = config.worker_range or (1, available_threads())
    return max(1, min(high, tiles))


def most_workers(config: RunConfig, tiles: int) -> int:
    """Workers that a driver may have at once; a scheduler that runs already has its own files."""
    if config.cluster.scheduler or config.cluster.scheduler_file:
        return 1
    if config.cluster.kind == "local":
        return local_workers(config, tiles)
    return min((config.worker_range or (0, 1))[1], tiles)


def sharing(config: RunConfig, tiles: int) -> int:
    """Worker processes that share the cores each of them may use."""
    if config.cluster.scheduler or config.cluster.scheduler_file:
        return 1
    if config.cluster.kind == "local":
        return local_workers(config, tiles)
    return processes(config.cluster)


def patience(cluster: ClusterConfig) -> float:
    """Seconds in which other hosts may still begin: the first few do not speak for all."""
    return 0.0 if cluster.kind == "local" else PATIENCE_SECONDS


def longest_wait(config: RunConfig) -> float:
    """Seconds without any worker after which a run ends.

    Jobs may wait in a queue for long.
    """
    if config.worker_wait is not None:
        return config.worker_wait * 60
    return WAIT_SECONDS if config.cluster.kind == "local" else QUEUE_SECONDS


@contextmanager
def local_client(
    workers: int,
    demand: Demand | None = None,
    dashboard: bool = False,
    gpus: Sequence[str] = (),
) -> Iterator[Client]:
    """A client of ``workers`` processes on this machine, reachable from loopback only.

    Lost ones are replaced, for as long as ``demand`` has tiles for them. ``gpus`` are shared out
    among them.

    Raises
    ------
    HostError
        If they cannot be started.
    """
    with ExitStack() as stack:
        stack.enter_context(fork_server())
        stack.enter_context(dask.config.set(FORKS if dashboard else FORKS | WITHOUT_PAGES))
        with _host_explained():
            cluster = stack.enter_context(_local_cluster(dashboard))
            if not dashboard:
                _close_pages(cluster)
            kept = LocalWorkers(cluster, workers, demand, gpus)
            stack.callback(cluster.sync, kept.close)
            cluster.sync(kept.open)
            client = stack.enter_context(Client(cluster))
        yield client


def _local_cluster(dashboard: bool) -> LocalCluster:
    """A scheduler on this machine. Its thread, which starts here, starts the workers later."""
    with children_undisturbed():
        return LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=Security.temporary(),
            dashboard_address=DASHBOARD,
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            scheduler_kwargs={"dashboard": dashboard},
        )


def _close_pages(cluster: Any) -> None:
    """Let the scheduler's HTTP server listen no more; Dask has no setting for that."""

    async def stop() -> None:
        cluster.scheduler.http_server.stop()

    cluster.sync(stop)


@contextmanager
def _host_explained() -> Iterator[None]:
    """What this machine refuses to a scheduler or its client becomes a `HostError`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise HostError(
            f"{node_name()} cannot start Dask's scheduler ({reason(error)});"
            " photoz doctor looks for the reason, the same command resumes"
        ) from error


@contextmanager
def job_client(config: RunConfig, demand: Demand) -> Iterator[Client]:
    """A client of worker jobs, submitted as tiles need them and replaced when they are lost.

    Raises
    ------
    ConfigError
        If the batch system refuses them.
    """
    low, high = config.worker_range or (0, 0)
    if not high:
        raise ConfigError(
            f"say how many workers {config.cluster.kind} may start: --workers N or MIN:MAX"
        )
    low, high = min(low, demand.useful), min(high, demand.useful)
    settings = job_settings(config.cluster, config.out)
    with ExitStack() as stack:
        if config.share == (1, 1):
            # Nobody else works on this run: what lies here is of killed drivers.
            for old in config.out.glob(f"{CERTIFICATES}*"):
                shutil.rmtree(old, ignore_errors=True)
        security = stack.enter_context(certificates(config.out)) if config.cluster.tls else None
        pages = {"dashboard_address": DASHBOARD, "dashboard": config.cluster.dashboard}
        scheduler = pages | settings.pop("scheduler_options", {})
        try:
            system, job = SYSTEMS[config.cluster.kind]
            cluster = system(
                job_cls=refusable(job),  # type: ignore[arg-type]  # it says Job, and means the class
                security=security,
                scheduler_options=scheduler,
                silence_logs="critical",
                **settings,
            )
        except (ValueError, RuntimeError, OSError) as error:
            raise ConfigError(f"cluster: {str(error).splitlines()[0]}") from error
        stack.enter_context(cluster)
        if not config.cluster.dashboard:
            _close_pages(cluster)
        start_jobs(cluster, config.cluster, low, high, demand)
        yield stack.enter_context(Client(cluster))


@contextmanager
def existing_client(cluster: ClusterConfig) -> Iterator[Client]:
    """A client of a scheduler that runs already.

    Its TLS files are those of Dask's own configuration.

    Raises
    ------
    ConfigError
        If it cannot be reached, or would be used without encryption and ``tls`` is not false.
    """
    if cluster.scheduler_file and not cluster.scheduler_file.is_file():
        raise ConfigError(f"scheduler file {cluster.scheduler_file}: file not found")
    where = cluster.scheduler or str(cluster.scheduler_file)
    try:
        client = Client(
            address=cluster.scheduler,
            scheduler_file=str(cluster.scheduler_file) if cluster.scheduler_file else None,
            security=Security(require_encryption=True) if cluster.tls else None,
            timeout="20s",
        )
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        problem = f"scheduler {where} cannot be used: {str(error).splitlines()[0]}"
        if cluster.tls:
            problem += "; its TLS files belong into Dask's configuration (distributed.comm.tls)"
        raise ConfigError(problem) from error
    with client:
        try:
            client.run_on_scheduler(introduce)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"scheduler {where} cannot import photoz-run ({error}): install the same there"
            ) from error
        yield client


@contextmanager
def certificates(out: Path) -> Iterator[Security]:
    """A certificate for this run, in a folder of ``out`` that the jobs see.

    Only this user can enter the folder, which is deleted after the block. What a killed driver
    leaves behind opens nothing any more, and is deleted when the run is resumed.
    """
    security = Security.temporary()
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix=CERTIFICATES, dir=out.resolve())
            )
            files = {name: f"{folder}/{name}.pem" for name in TLS_FILES}
            for name, path in files.items():
                _write_secret(path, getattr(security, name))
        except OSError as error:
            raise OutputError(f"{out}: cannot be written ({error.strerror})") from error
        yield Security(require_encryption=True, **files)


def _write_secret(path: str, text: str) -> None:
    """Write a new file that only this user can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
