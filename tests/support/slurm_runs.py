"""``photoz-run`` among the jobs of a real SLURM: started, disturbed and looked at by tests."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from photoz_run.records import tile_group
from support.crash import Hold
from support.runs import COMMAND, contents
from support.slurm import Job, Slurm, wait

QUICK = {"DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "2s", "COLUMNS": "250"}
"""Lost workers are replaced after two seconds, and lines are not broken."""
TILES = tuple(f"KIDS_18{number}.0_-0.5" for number in range(6))
"""The tiny tiles of these runs."""
JOB = ("--memory", "1GB", "--walltime", "00:10:00")


@dataclass
class SlurmRun:
    """One run directory, and the driver that works on it; it does not outlive the block."""

    slurm: Slurm
    arguments: list[str]
    out: Path
    hold: Hold
    variables: dict[str, str] = field(default_factory=dict)
    driver: "subprocess.Popen[str] | None" = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.driver is not None and self.driver.poll() is None:
            self.driver.kill()
            self.driver.wait()

    @property
    def environment(self) -> dict[str, str]:
        """Of the driver and, through SLURM, of its jobs."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return (
            self.slurm.environment | QUICK | self.hold.variables | {"PATH": path} | self.variables
        )

    @property
    def said(self) -> Path:
        """The file of what the last driver said."""
        return self.out.with_suffix(".said")

    def start(self, *more: str) -> None:
        """Start the driver beside SLURM, as on a login node."""
        with self.said.open("w") as said:
            command = [COMMAND, *self.arguments, *more]
            self.driver = subprocess.Popen(
                command, env=self.environment, text=True, stdout=said, stderr=said
            )

    def finish(self, patience: float = 600.0) -> tuple[int, str]:
        """Wait for the driver; its exit status and what it said."""
        assert self.driver is not None
        try:
            return self.driver.wait(patience), self.said.read_text()
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the driver does not end\n{self.explain()}") from None

    def to_end(self, *more: str) -> tuple[int, str]:
        """Start the driver and wait for it."""
        self.start(*more)
        return self.finish()

    def kill(self) -> None:
        """SIGKILL for the driver and its scheduler, which live in one process."""
        assert self.driver is not None
        self.driver.kill()
        assert self.driver.wait(300) == -signal.SIGKILL
        self.driver = None

    def workers(self) -> list[Job]:
        """Worker jobs that wait or run; one that is being ended is none."""
        return [
            job for job in self.slurm.jobs("photoz-worker") if job.state in ("PENDING", "RUNNING")
        ]

    def tries(self, tile: str) -> list[str]:
        """Node and process of every try of a tile, from its log."""
        log = self.out / "logs" / tile_group(tile) / f"{tile}.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line.split("  ")[2] for line in lines if re.search(r"  try \d+$", line)]

    def wait_for_try(self, tile: str, number: int = 1) -> str:
        """Wait until a tile is with a worker for the n-th time; on which node that is."""
        self.wait(lambda: len(self.tries(tile)) >= number, f"try {number} of {tile}")
        return self.tries(tile)[number - 1].partition(":")[0]

    def wait(self, happened: Any, what: str) -> None:
        """Wait for something while the driver works."""
        wait(
            lambda: happened() or (self.driver and self.driver.poll() is not None),
            what,
            self.explain,
        )
        assert happened(), f"the driver ended before {what}\n{self.explain()}"

    def status(self) -> dict[str, Any]:
        """What ``photoz status --json`` says."""
        command = [Path(COMMAND).with_name("photoz"), "status", self.out, "--json"]
        found: dict[str, Any] = json.loads(
            subprocess.run(command, capture_output=True, check=True).stdout
        )
        return found

    def contents(self) -> dict[str, bytes]:
        """The catalogue."""
        return contents(self.out)

    def explain(self) -> str:
        """For a message: the jobs, what the driver said, the ends of the workers' logs."""
        logs = sorted((self.out / "logs" / "jobs").glob("*.err"))
        ends = [f"{path.name}: {path.read_text()[-800:]}" for path in logs]
        said = self.said.read_text() if self.said.exists() else ""
        return "\n".join([*map(str, self.slurm.jobs(ended=True)), said, *ends])
