"""Worker jobs of a batch system, by dask-jobqueue: its classes, its key names, its ``jobqueue.yaml``.

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
from dask_jobqueue.core import Job, JobQueueCluster
from dask_jobqueue.htcondor import HTCondorCluster, HTCondorJob
from dask_jobqueue.lsf import LSFCluster, LSFJob
from dask_jobqueue.oar import OARCluster, OARJob
from dask_jobqueue.pbs import PBSCluster, PBSJob
from dask_jobqueue.sge import SGECluster, SGEJob
from dask_jobqueue.slurm import SLURMCluster, SLURMJob

from photoz_run.config import ClusterConfig
from photoz_run.errors import ConfigError
from photoz_run.run.replacing import Demand, Replacing, what_was_said

SYSTEMS: Mapping[str, tuple[type[JobQueueCluster], type[Job]]] = {
    "slurm": (SLURMCluster, SLURMJob),
    "pbs": (PBSCluster, PBSJob),
    "sge": (SGECluster, SGEJob),
    "lsf": (LSFCluster, LSFJob),
    "oar": (OARCluster, OARJob),
    "htcondor": (HTCondorCluster, HTCondorJob),
}

DEFAULTS: Mapping[str, Any] = {"cores": 2, "processes": 1, "memory": "8GB"}
"""One tile takes two threads (one cuts while the other infers) and about half a gigabyte besides mapped files."""


def job_settings(cluster: ClusterConfig, out: Path) -> dict[str, Any]:
    """Keyword arguments of dask-jobqueue's class for the worker jobs of the run in ``out``.

    Raises
    ------
    ConfigError
        If the class has no such setting, or cannot ask for GPUs.
    """
    known = _known_keys(cluster.kind)
    given = {_own_name(key, known): value for key, value in cluster.job_keys.items()}
    if unknown := [key for key in given if key not in known]:
        close = get_close_matches(unknown[0], known, n=3)
        hint = (
            f"did you mean {' or '.join(close)}?"
            if close
            else f"known are {', '.join(sorted(known))}"
        )
        raise ConfigError(f"cluster: {cluster.kind} jobs have no setting {unknown[0]!r}; {hint}")
    configured = _configured(cluster.kind)
    _check_values(cluster.kind, given)
    settings = {
        key: value for key, value in DEFAULTS.items() if configured.get(key) is None
    } | given
    # The last one counts: a worker takes one tile at a time, whose threads share its cores; and mapped coadds count as
    # memory of the process, for which the nanny would end a healthy worker.
    extra = list(given.get("worker_extra_args", configured.get("worker-extra-args")) or [])
    # Without a dashboard a worker still serves plain pages about itself.
    pages = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    settings["worker_extra_args"] = [*extra, "--nthreads", "1", "--memory-limit", "0", *pages]
    settings["processes"] = processes(
        cluster
    )  # the class counts its workers only by what it is given
    settings.setdefault("log_directory", str(out.resolve() / "logs" / "jobs"))
    settings.setdefault("job_name", "photoz-worker")
    return _with_gpus(settings, cluster)


def job_script(cluster: ClusterConfig, out: Path) -> str:
    """The script of a worker job, as it would be submitted but for the scheduler's address and its certificates."""
    settings = {
        key: value for key, value in job_settings(cluster, out).items() if key not in _CLUSTER_KEYS
    }
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
    """Submit jobs for ``high`` workers; from then on for as many as there are tiles left, but ``low`` at least.

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

    found = cluster.sync(refusals)
    if all(found):
        with _explained():
            raise found[0]
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
    """The name of a setting in the class at hand: some say project for the account that is charged."""
    return "project" if key == "account" and "account" not in known and "project" in known else key


def _check_values(kind: str, given: Mapping[str, Any]) -> None:
    """Refuse what dask-jobqueue would misread in silence."""
    for key in _LISTS:
        table = kind == "htcondor" and key == "job_extra_directives"
        if key in given and not isinstance(given[key], dict if table else list):
            form = "a table: {name = value}" if table else f"a list: [{str(given[key])!r}]"
            raise ConfigError(f"cluster: {key} must be {form}")
    for key in _COUNTS:
        if key in given and not (isinstance(given[key], int) and given[key] >= 1):
            raise ConfigError(
                f"cluster: {key} must be a whole number of at least 1 (got {given[key]!r})"
            )


_LISTS = ("job_script_prologue", "worker_extra_args", "job_extra_directives", "job_directives_skip")
_COUNTS = ("cores", "processes")
_NOT_FOR_USERS = {
    *(
        "self",
        "name",
        "loop",
        "asynchronous",
        "silence_logs",
        "job_cls",
        "scheduler_cls",
        "nanny",
        "worker_command",
    ),
    *(
        "scheduler",
        "protocol",
        "security",
        "n_workers",
        "host",
        "dashboard_address",
    ),  # set by this program
    *("extra", "env_extra", "header_skip", "job_extra"),  # old names that dask-jobqueue gave up
    *("job_kwargs", "base_class_kwargs", "kwargs"),
}
_CLUSTER_KEYS = {"shared_temp_directory", "scheduler_options"}
_GPU_DIRECTIVES = {"slurm": "--gres=gpu:{}", "sge": "-l gpu={}", "lsf": '-gpu "num={}"'}


def _with_gpus(settings: dict[str, Any], cluster: ClusterConfig) -> dict[str, Any]:
    if not cluster.gpus:
        return settings
    configured = _configured(cluster.kind)
    directives = settings.get("job_extra_directives", configured.get("job-extra-directives")) or []
    if cluster.kind == "htcondor":
        return settings | {
            "job_extra_directives": dict(directives) | {"request_gpus": cluster.gpus}
        }
    if cluster.kind in _GPU_DIRECTIVES:
        return settings | {
            "job_extra_directives": [
                *directives,
                _GPU_DIRECTIVES[cluster.kind].format(cluster.gpus),
            ]
        }
    if cluster.kind == "pbs" and not (
        settings.get("resource_spec") or configured.get("resource-spec")
    ):
        cores, memory = (settings.get(key) or configured.get(key) for key in ("cores", "memory"))
        return settings | {
            "resource_spec": f"select=1:ncpus={cores}:mem={memory}:ngpus={cluster.gpus}"
        }
    where = "resource_spec" if cluster.kind == "pbs" else "job_extra_directives"
    raise ConfigError(
        f"cluster: say how {cluster.kind} is asked for GPUs in {where}, and leave gpus out"
    )


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
