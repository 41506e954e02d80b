"""Worker jobs of a batch system, by dask-jobqueue: its classes, its key names, its ``jobqueue.yaml``.

Two traps of it are handled here. A static `scale` never replaces a lost job, `adapt` does; and of a job with several
worker processes it would not notice the loss.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
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
from distributed.deploy.adaptive import Adaptive

from pipeline.config import ClusterConfig
from pipeline.errors import ConfigError

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
        hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(sorted(known))}"
        raise ConfigError(f"cluster: {cluster.kind} jobs have no setting {unknown[0]!r}; {hint}")
    configured = _configured(cluster.kind)
    settings = {key: value for key, value in DEFAULTS.items() if configured.get(key) is None} | given
    # The last one counts: a worker takes one tile at a time, whose threads share its cores; and mapped coadds count as
    # memory of the process, for which the nanny would end a healthy worker.
    extra = list(given.get("worker_extra_args", configured.get("worker-extra-args")) or [])
    settings["worker_extra_args"] = [*extra, "--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
    settings.setdefault("log_directory", str(out.resolve() / "logs" / "jobs"))
    settings.setdefault("job_name", "photoz-worker")
    return _with_gpus(settings, cluster)


def job_script(cluster: ClusterConfig, out: Path) -> str:
    """The script of a worker job, as it would be submitted but for the scheduler's address and its certificates."""
    settings = {key: value for key, value in job_settings(cluster, out).items() if key not in _CLUSTER_KEYS}
    logs = settings["log_directory"]
    with TemporaryDirectory() as existing:  # the class makes the folder that it is given
        settings["log_directory"] = existing
        job = _explained(lambda: SYSTEMS[cluster.kind][1]("tls://DRIVER:PORT", name="NAME", **settings))
    return str(job.job_script()).replace(existing, logs)


def processes(cluster: ClusterConfig) -> int:
    """Worker processes of each job."""
    number = cluster.job_keys.get("processes", _configured(cluster.kind).get("processes"))
    return int(number or DEFAULTS["processes"])


def start_jobs(cluster: JobQueueCluster, low: int, high: int, left: Callable[[], int]) -> None:
    """Submit jobs for ``high`` workers; from then on one for each tile that is ``left``, but ``low`` at least.

    Lost ones are replaced.

    Raises
    ------
    ConfigError
        If the batch system refuses the first jobs; what it said.
    """
    cluster.scale(high)

    async def submitted() -> None:
        await cluster

    _explained(lambda: cluster.sync(submitted))
    cluster.adapt(Adaptive=_adaptive(left), minimum=low, maximum=high, interval="2s")


def _adaptive(left: Callable[[], int]) -> type[Adaptive]:
    seen: set[str] = set()

    class Replacing(Adaptive):
        """Wants a worker for every tile that is left, and replaces jobs all of whose workers are lost."""

        async def target(self) -> int:
            return left()

        async def recommendations(self, target: int) -> dict[str, Any]:
            cluster: Any = self.cluster
            here = {str(worker["name"]) for worker in cluster.scheduler_info["workers"].values()}
            seen.update(here)
            for name, spec in cluster.worker_spec.items():
                names = {f"{name}{suffix}" for suffix in spec.get("group", ())}
                if names & seen and not names & here and name in cluster.workers:
                    await cluster.workers.pop(name).close()
                    seen.difference_update(names)
            return dict(await super().recommendations(target))

    return Replacing


def _known_keys(kind: str) -> set[str]:
    classes = (SYSTEMS[kind][1], Job, JobQueueCluster)
    parameters = {name for cls in classes for name in inspect.signature(cls.__init__).parameters}
    return parameters - _NOT_FOR_USERS - ({"project"} if "account" in parameters else set())


def _own_name(key: str, known: Collection[str]) -> str:
    """The name of a setting in the class at hand: some say project for the account that is charged."""
    return "project" if key == "account" and "account" not in known and "project" in known else key


_NOT_FOR_USERS = {
    *("self", "name", "loop", "asynchronous", "silence_logs", "job_cls", "scheduler_cls", "nanny", "worker_command"),
    *("scheduler", "protocol", "security", "n_workers", "host", "dashboard_address"),  # set by this program
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
        return settings | {"job_extra_directives": dict(directives) | {"request_gpus": cluster.gpus}}
    if cluster.kind in _GPU_DIRECTIVES:
        return settings | {"job_extra_directives": [*directives, _GPU_DIRECTIVES[cluster.kind].format(cluster.gpus)]}
    if cluster.kind == "pbs" and "resource_spec" not in settings:
        cores, memory = (settings.get(key) or configured.get(key) for key in ("cores", "memory"))
        return settings | {"resource_spec": f"select=1:ncpus={cores}:mem={memory}:ngpus={cluster.gpus}"}
    raise ConfigError(f"cluster: say how {cluster.kind} is asked for GPUs in job_extra_directives, and leave gpus out")


def _configured(kind: str) -> dict[str, Any]:
    return dict(dask.config.get(f"jobqueue.{kind}", {}))


def _explained(call: Callable[[], Any]) -> Any:
    """The result of ``call``; what dask-jobqueue or the batch system has against it becomes a `ConfigError`."""
    try:
        return call()
    except (ValueError, TypeError) as error:
        raise ConfigError(f"cluster: {str(error).splitlines()[0]}") from error
    except FileNotFoundError as error:
        raise ConfigError(f"cluster: {error.filename} is not installed here; are you on a login node?") from error
    except RuntimeError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        said = lines[lines.index("stderr:") + 1 :] if "stderr:" in lines else lines
        raise ConfigError(f"cluster: the batch system refused a worker job: {'; '.join(said)}") from error
