"""Worker jobs of a batch system, by dask-jobqueue's classes, key names and ``jobqueue.yaml``.

A static `scale` never replaces a lost job; what does is in `photoz_run.run.replacing`.
"""

import inspect
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask

from photoz_run.config import ClusterConfig
from photoz_run.errors import ConfigError
from photoz_run.run.batch_systems import SYSTEMS, Job, JobQueueCluster
from photoz_run.run.demand import Demand
from photoz_run.run.replacing import Replacing, what_was_said

DEFAULTS: Mapping[str, Any] = {"cores": 2, "processes": 1, "memory": "8GB"}
"""A tile takes two threads, one cuts while the other infers, and half a gigabyte of memory."""


WORKER_ARGUMENTS = (
    # A worker takes one tile at a time, whose threads share its cores.
    *("--nthreads", "1"),
    # Mapped coadds count as memory: the nanny would end a healthy worker.
    *("--memory-limit", "0"),
    # A worker serves pages about itself, on loopback at least.
    *("--no-dashboard", "--dashboard-address", "127.0.0.1:0"),
)

PROLOGUE = (
    # ... and none has any content.
    "export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'",
)


def job_settings(cluster: ClusterConfig, out: Path) -> dict[str, Any]:
    """Keyword arguments of dask-jobqueue's class for the worker jobs of the run in ``out``.

    Raises
    ------
    ConfigError
        If the class has no such setting, or cannot ask for GPUs.
    """
    known = _known_keys(cluster.kind)
    chosen = {_own_name(key, known): value for key, value in cluster.job_keys.items()}
    _check_names(cluster.kind, chosen, known)
    _check_values(cluster.kind, chosen)
    configured = _configured(cluster.kind)
    defaults = {key: value for key, value in DEFAULTS.items() if configured.get(key) is None}
    settings = defaults | chosen
    extra = list(chosen.get("worker_extra_args", configured.get("worker-extra-args")) or [])
    # Ours come last, and the last of two arguments counts.
    settings["worker_extra_args"] = [*extra, *WORKER_ARGUMENTS]
    prologue = chosen.get("job_script_prologue", configured.get("job-script-prologue"))
    settings["job_script_prologue"] = [*PROLOGUE, *(prologue or [])]
    # The class counts its workers only by what it is told here.
    settings["processes"] = processes(cluster)
    settings.setdefault("log_directory", str(out.resolve() / "logs" / "jobs"))
    settings.setdefault("job_name", "photoz-worker")
    return _with_gpus(settings, cluster)


def job_script(cluster: ClusterConfig, out: Path) -> str:
    """The script of a worker job; the scheduler's address and certificates are made up."""
    settings = job_settings(cluster, out)
    for key in _CLUSTER_KEYS & settings.keys():
        del settings[key]
    logs = settings["log_directory"]
    with TemporaryDirectory() as existing:  # the class makes the folder that it is given
        settings["log_directory"] = existing
        with _explained():
            job = SYSTEMS[cluster.kind][1]("tls://DRIVER:PORT", name="NAME", **settings)
    return str(job.job_script()).replace(existing, logs)


def processes(cluster: ClusterConfig) -> int:
    """Worker processes of each job."""
    number = cluster.job_keys.get("processes", _configured(cluster.kind).get("processes"))
    return int(number or DEFAULTS["processes"])


def start_jobs(
    cluster: JobQueueCluster, config: ClusterConfig, low: int, high: int, demand: Demand
) -> None:
    """Submit jobs for ``high`` workers, then for as many as there are tiles for, ``low`` at least.

    Lost ones are replaced. The jobs are of a class that `refusable` made.

    Raises
    ------
    ConfigError
        If the batch system refuses all of them; what it said.
    """
    cluster.scale(high)

    async def refusals() -> list[Exception]:
        await cluster
        return [job.refusal for job in cluster.workers.values()]

    refused = cluster.sync(refusals)
    if all(refused):
        with _explained():
            raise refused[0]
    cluster.adapt(
        Adaptive=Replacing,
        minimum=low,
        maximum=high,
        interval="2s",
        kind=config.kind,
        processes=processes(config),
        demand=demand,
    )


def _known_keys(kind: str) -> set[str]:
    classes = (SYSTEMS[kind][1], Job, JobQueueCluster)
    parameters = {name for cls in classes for name in inspect.signature(cls.__init__).parameters}
    return parameters - _NOT_FOR_USERS - ({"project"} if "account" in parameters else set())


def _own_name(key: str, known: Collection[str]) -> str:
    """The name of a setting in the class at hand: some call the account that is charged project."""
    if key == "account" and "account" not in known and "project" in known:
        return "project"
    return key


def _check_names(kind: str, chosen: Collection[str], known: Collection[str]) -> None:
    """Refuse a setting that the class does not have."""
    for key in chosen:
        if key not in known:
            close = get_close_matches(key, known, n=3)
            names = f"known are {', '.join(sorted(known))}"
            hint = f"did you mean {' or '.join(close)}?" if close else names
            raise ConfigError(f"cluster: {kind} jobs have no setting {key!r}; {hint}")


def _check_values(kind: str, chosen: Mapping[str, Any]) -> None:
    """Refuse what dask-jobqueue would misread in silence."""
    for key in _LISTS & chosen.keys():
        value = chosen[key]
        if kind == "htcondor" and key == "job_extra_directives":
            if not isinstance(value, dict):
                raise ConfigError(f"cluster: {key} must be a table: {{name = value}}")
        elif not isinstance(value, list):
            raise ConfigError(f"cluster: {key} must be a list: [{str(value)!r}]")
    for key in _COUNTS & chosen.keys():
        value = chosen[key]
        if not isinstance(value, int) or value < 1:
            raise ConfigError(
                f"cluster: {key} must be a whole number of at least 1 (got {value!r})"
            )


_LISTS = {"job_script_prologue", "worker_extra_args", "job_extra_directives", "job_directives_skip"}
_COUNTS = {"cores", "processes"}
_NOT_FOR_USERS = {
    # parts of the machinery
    *("self", "name", "loop", "asynchronous", "silence_logs", "nanny", "worker_command"),
    *("job_cls", "scheduler_cls", "job_kwargs", "base_class_kwargs", "kwargs"),
    # set by this program
    *("scheduler", "protocol", "security", "n_workers", "host", "dashboard_address"),
    # old names that dask-jobqueue gave up
    *("extra", "env_extra", "header_skip", "job_extra"),
}
_CLUSTER_KEYS = {"shared_temp_directory", "scheduler_options"}
_GPU_DIRECTIVES = {"slurm": "--gres=gpu:{}", "sge": "-l gpu={}", "lsf": '-gpu "num={}"'}


def _with_gpus(settings: dict[str, Any], cluster: ClusterConfig) -> dict[str, Any]:
    """The settings of jobs that have GPUs."""
    kind, gpus = cluster.kind, cluster.gpus
    if not gpus:
        return settings
    configured = _configured(kind)
    directives = settings.get("job_extra_directives", configured.get("job-extra-directives")) or []
    if kind == "htcondor":
        return settings | {"job_extra_directives": dict(directives) | {"request_gpus": gpus}}
    if kind in _GPU_DIRECTIVES:
        return settings | {
            "job_extra_directives": [*directives, _GPU_DIRECTIVES[kind].format(gpus)]
        }
    resources = settings.get("resource_spec") or configured.get("resource-spec")
    if kind == "pbs" and not resources:
        cores, memory = (settings.get(key) or configured.get(key) for key in ("cores", "memory"))
        return settings | {"resource_spec": f"select=1:ncpus={cores}:mem={memory}:ngpus={gpus}"}
    where = "resource_spec" if kind == "pbs" else "job_extra_directives"
    raise ConfigError(f"cluster: say how {kind} is asked for GPUs in {where}, and leave gpus out")


def _configured(kind: str) -> dict[str, Any]:
    return dict(dask.config.get(f"jobqueue.{kind}", {}))


@contextmanager
def _explained() -> Iterator[None]:
    """What dask-jobqueue or the batch system has against a job becomes a `ConfigError`."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise ConfigError(f"cluster: {str(error).splitlines()[0]}") from error
    except FileNotFoundError as error:
        raise ConfigError(
            f"cluster: {error.filename} is not installed here; are you on a login node?"
        ) from error
    except RuntimeError as error:
        raise ConfigError(
            f"cluster: the batch system refused a worker job: {what_was_said(error)}"
        ) from error
