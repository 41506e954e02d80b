"""Keeping as many worker jobs as there are tiles for them: lost ones are replaced, idle ones ended.

Dask's own `Adaptive` counts workers, not jobs. It replaces a job that had one worker and lost it.
But it waits for ever for a job that never brings one: cancelled while it waited, refused by the
batch system, or on a node without this Python. It does not notice the loss of a job with several
workers, and ends such a job for one of them that is idle.
"""

import asyncio
import math
import time
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed.core import Status
from distributed.deploy.adaptive import Adaptive

from photoz_run.errors import ConfigError
from photoz_run.run.batch_systems import Job, JobQueueCluster
from photoz_run.run.demand import Demand

LISTINGS = {"slurm": ("squeue", "--me", "--noheader", "--format=%i")}
"""Batch system -> a command that lists the numbers of one's jobs that wait or run."""
STILLBORN = 3
"""So many jobs in a row that end before their worker has started: the nodes are at fault."""


class Refusable:
    """A job that remembers why the batch system refused it; Dask would print the error."""

    refusal: Exception | None = None

    async def start(self) -> None:
        """Submit the job, or remember why that failed."""
        try:
            await super().start()  # type: ignore[misc]
        except (RuntimeError, OSError, ValueError) as error:
            self.refusal = error
            self.status = Status.running

    async def close(self) -> None:
        """Cancel the job."""
        await super().close()  # type: ignore[misc]
        self.status = Status.closed  # the cluster insists on it


def refusable(job: type[Job]) -> type[Job]:
    """The class of jobs that remember a refusal instead of raising it."""
    return type(job.__name__, (Refusable, job), {})


class Replacing(Adaptive):
    """Looks after the jobs of ``cluster`` for as long as ``demand`` has tiles for them.

    Each job has ``processes`` workers.
    """

    def __init__(
        self, cluster: JobQueueCluster, *, kind: str, processes: int, demand: Demand, **limits: Any
    ) -> None:
        super().__init__(cluster, **limits)
        self._jobs: Any = cluster
        self._listing = LISTINGS.get(kind, ())
        self._suffixes = [f"-{number}" for number in range(processes)] if processes > 1 else [""]
        self._demand = demand
        self._patience = parse_timedelta(dask.config.get("distributed.deploy.lost-worker-timeout"))
        self._next_look = time.monotonic() + self._patience
        self._started: set[str] = set()
        self._stillborn: list[str] = []
        self._refusal = ""

    async def target(self) -> int:
        """Workers that there are tiles for."""
        return self._demand.useful

    async def recommendations(self, target: int) -> dict[str, Any]:
        """Replace lost jobs; then say whether ``target`` workers need more jobs, or fewer."""
        self._meet_new_jobs()
        if time.monotonic() >= self._next_look:
            await self._forget_lost_jobs()
            self._next_look = time.monotonic() + self._patience
        if self._jobs.worker_spec.keys() - self._jobs.workers.keys():
            await self._jobs
        surplus = len(self._jobs.worker_spec) - math.ceil(target / len(self._suffixes))
        if surplus < 0:
            return {"status": "up", "n": target}
        idle = self._idle_jobs() if surplus else []
        if not idle:
            return {"status": "same"}
        workers = []
        for name in idle[:surplus]:
            workers += self._workers_of(name)
        return {"status": "down", "workers": workers}

    def _meet_new_jobs(self) -> None:
        here = self._here()
        jobs = {job.job_id for name, job in self._jobs.workers.items() if self._any(name, here)}
        if jobs - self._started:
            self._started |= jobs
            self._stillborn.clear()

    async def _forget_lost_jobs(self) -> None:
        """Forget jobs without a worker, so that they are replaced.

        They were refused, ended before a worker came, or lost all of several workers.
        """
        here = self._here()
        absent = {
            name: job for name, job in self._jobs.workers.items() if not self._any(name, here)
        }
        waiting = {job.job_id for job in absent.values() if job.job_id} - self._started
        gone = waiting - await self._known_jobs() if waiting and self._listing else set()
        self._stillborn += sorted(gone.difference(self._stillborn))
        self._tell_refusals()
        given_up = gone if len(self._stillborn) >= STILLBORN else set()
        for name, job in absent.items():
            # The nanny of a single worker may start it again, and Dask replaces the job if not.
            lost = job.job_id in self._started and len(self._suffixes) > 1
            if not job.job_id or lost or job.job_id in gone - given_up:
                self._jobs.workers.pop(name, None)
                await job.close()
        if given_up and len(absent) == len(self._jobs.worker_spec):
            numbers = ", ".join(self._stillborn[:STILLBORN])
            self._demand.give_up(
                ConfigError(
                    f"cluster: worker jobs {numbers} ended before their worker had started;"
                    " what they printed stands in logs/jobs of the run directory"
                )
            )

    def _tell_refusals(self) -> None:
        """Say once why the batch system refuses jobs, until it takes them again."""
        refusals = [
            what_was_said(job.refusal) for job in self._jobs.workers.values() if job.refusal
        ]
        if refusals and refusals[0] != self._refusal:
            self._demand.say(f"a worker job was refused, it will be tried again: {refusals[0]}")
        self._refusal = refusals[0] if refusals else ""

    async def _known_jobs(self) -> set[str]:
        """Numbers of the jobs that wait or run.

        If the batch system does not answer, of all that were submitted.
        """
        listing = await asyncio.create_subprocess_exec(
            *self._listing, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        numbers, _ = await listing.communicate()
        if listing.returncode:
            return {job.job_id for job in self._jobs.workers.values()}
        return set(numbers.decode().split())

    def _idle_jobs(self) -> list[str]:
        """Jobs without a tile, those that have not started first."""
        busy = {
            str(worker.name)
            for worker in self._jobs.scheduler.workers.values()
            if worker.processing
        }
        here = self._here()
        return sorted(
            (name for name in self._jobs.worker_spec if not self._any(name, busy)),
            key=lambda name: self._any(name, here),
        )

    def _here(self) -> set[str]:
        return {str(worker["name"]) for worker in self._jobs.scheduler_info["workers"].values()}

    def _any(self, name: str, workers: set[str]) -> bool:
        """Whether one of the workers of a job is among ``workers``."""
        return not workers.isdisjoint(self._workers_of(name))

    def _workers_of(self, name: str) -> list[str]:
        return [f"{name}{suffix}" for suffix in self._suffixes]


def what_was_said(error: Exception) -> str:
    """Why the batch system refused a job, in one line, from dask-jobqueue's account of it."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    complaint = lines[lines.index("stderr:") + 1 :] if "stderr:" in lines else lines
    # A command that says nothing is named, with its exit code.
    return "; ".join(complaint or lines[:-1])
