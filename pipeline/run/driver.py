"""The main job: plan, start workers, hand out tiles, collect outcomes, say how it ended."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.config import RunConfig
from pipeline.records import Status, TileOutcome
from pipeline.run.cluster import open_client, sharing
from pipeline.run.dispatch import Dispatcher
from pipeline.run.interruption import interruptible
from pipeline.run.ledger import RunDirectory, run_digest, write_json
from pipeline.run.lock import RunLock
from pipeline.run.manifest import make_manifest, make_provenance
from pipeline.run.plan import check_tiles, find_run_tiles, load_model, model_path
from pipeline.run.progress import Progress
from pipeline.run.summary import RunSummary
from pipeline.run.worker import TileTask


@dataclass
class Work:
    """What this driver has done so far; told to others in its lock file."""

    total: int = 0
    outcomes: dict[str, TileOutcome] = field(default_factory=dict)
    dispatcher: Dispatcher | None = None

    def state(self) -> dict[str, Any]:
        """Numbers for `photoz status`."""
        good = [o for o in list(self.outcomes.values()) if o.status is not Status.QUARANTINED]
        return {
            "total": self.total,
            "finished": len(self.outcomes),
            "rows": sum(outcome.rows_out for outcome in good),
            "bytes": sum(outcome.input_bytes for outcome in good),
            "workers": self.dispatcher.workers if self.dispatcher else 0,
            "running": self.dispatcher.running if self.dispatcher else [],
        }


@interruptible()
def run(config: RunConfig, progress: Progress, restart: bool = False) -> RunSummary:
    """Run the main job, or this process's share of it, to its end.

    Raises
    ------
    ConfigError, ContractError
        Before any tile, if something cannot be used, or somebody else works on the run directory.
    InterruptedRunError
        If a signal ended the run, or the run directory cannot be written; the same command resumes it.
    """
    start = time.monotonic()
    tiles = find_run_tiles(config)
    check_tiles(tiles, config)
    path = model_path(config.model)
    model = load_model(path, config.provider, config.allow_fallback)
    manifest = make_manifest(config, tiles, model)
    directory = RunDirectory(config.out)
    directory.prepare(restart, config.share)
    work = Work()
    with RunLock(directory.locks, config.share, work.state) as lock:
        directory.open(manifest, config.resolved_toml(), restart)
        number, of = config.share
        mine = dict(list(tiles.items())[number - 1 :: of])
        settled = directory.settled(mine, run_digest(manifest))
        pending = [ref for tile, ref in mine.items() if tile not in settled]
        provenance = make_provenance(manifest)
        tasks = [TileTask(ref, config, path, provenance, sharing(config, len(pending))) for ref in pending]
        work.total = len(tasks)
        with progress.of(len(mine), settled):
            if tasks:
                measure(tasks, config, work, lock, progress)
        summary = RunSummary(config.out, settled | work.outcomes, len(settled), time.monotonic() - start)
        write_json(config.out / f"summary{config.share_name}.json", summary.as_dict())
    return summary


def measure(tasks: Sequence[TileTask], config: RunConfig, work: Work, lock: RunLock, progress: Progress) -> None:
    """Measure every task on the workers of the run; `Work.outcomes` fills as they come."""
    directory = RunDirectory(config.out)
    dispatcher = work.dispatcher = Dispatcher(tasks, progress.say)

    def beat() -> None:
        lock.check()
        progress.beat(dispatcher.workers)

    with open_client(config, lambda: dispatcher.left) as client:
        for outcome in dispatcher.outcomes(client, beat):
            work.outcomes[outcome.tile] = outcome
            if not outcome.host:  # no worker lived to record it
                directory.write_outcome(outcome)
            progress.advance(outcome)
