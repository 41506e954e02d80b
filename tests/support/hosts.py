"""A run on workers that live on hosts of a test's making."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Nanny, Scheduler, SpecCluster

from photoz_run.config import RunConfig, load_config
from photoz_run.run import dispatch, driver
from photoz_run.run.cluster import SETTINGS
from photoz_run.run.progress import Progress
from photoz_run.run.summary import RunSummary
from support import crash

PATIENT = {"distributed.deploy.lost-worker-timeout": "120s"}
"""On a busy machine a worker takes long to start again."""
SHORT = 0.05
"""Pause before a second try."""


def config_of(data: Path, bundle: Path, out: Path, **more: Any) -> RunConfig:
    settings = {
        "tiles": ["all"],
        "data": [data],
        "out": out,
        "model": str(bundle),
        "select": "all",
        "provider": "cpu",
    }
    return load_config(None, settings | more)


class Told(Progress):
    """Keeps what an operator is told."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, words: str) -> None:
        self.lines.append(words)


def run_on(
    monkeypatch, hosts: Mapping[str, Mapping[str, str]], config: RunConfig
) -> tuple[RunSummary, list[str]]:
    """A run on one worker process for each host; a host has its name and what files do to it."""
    crash.arm(monkeypatch)
    monkeypatch.setattr(dispatch, "BACKOFF_SECONDS", SHORT)

    @contextmanager
    def client(_config: RunConfig, _left: Callable[[], int]) -> Iterator[Client]:
        workers = {
            name: {
                "cls": Nanny,
                "options": {
                    "env": {"SLURMD_NODENAME": name, **crash.crashes(how)},
                    "nthreads": 1,
                    "memory_limit": 0,
                },
            }
            for name, how in hosts.items()
        }
        scheduler = {
            "cls": Scheduler,
            "options": {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"},
        }
        with (
            dask.config.set(SETTINGS | PATIENT),
            SpecCluster(workers, scheduler) as cluster,
            Client(cluster) as client,
        ):
            yield client

    monkeypatch.setattr(driver, "open_client", client)
    told = Told()
    return driver.run(config, told), told.lines


def statuses(summary: RunSummary) -> dict[str, str]:
    return {tile: str(outcome.status) for tile, outcome in summary.outcomes.items()}
