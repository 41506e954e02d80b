"""The main job: plan, start workers, hand out tiles, collect outcomes, say how it ended."""

import platform
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from distributed import Client, Future, as_completed

from models.session import PhotozModel, available_threads
from pipeline import __version__
from pipeline.catalogue.provenance import Provenance, input_files, inputs_digest
from pipeline.config import RunConfig
from pipeline.errors import ExitCode, InterruptedRunError, PhotozError
from pipeline.records import Status, TileOutcome, TileRef
from pipeline.run.cluster import local_client
from pipeline.run.ledger import MANIFEST_SCHEMA, RunDirectory, input_list, run_digest, write_json
from pipeline.run.plan import check_tiles, find_run_tiles, load_model, model_path
from pipeline.run.progress import Progress
from pipeline.run.worker import TileTask, run_tile

PACKAGES = ("numpy", "astropy", "fitsio", "pyarrow", "dask", "distributed", "onnxruntime-gpu", "onnxruntime")


@dataclass(frozen=True)
class RunSummary:
    """How a run ended."""

    out: Path
    outcomes: Mapping[str, TileOutcome] = field(default_factory=dict)
    resumed: int = 0
    seconds: float = 0.0

    def count(self, status: Status) -> int:
        """Tiles that ended with ``status``."""
        return sum(outcome.status is status for outcome in self.outcomes.values())

    @property
    def rows(self) -> int:
        """Rows in all tile files."""
        return sum(outcome.rows_out for outcome in self.outcomes.values())

    @property
    def exit_code(self) -> ExitCode:
        """0 if every tile is done or has nothing to do, 3 if some are quarantined."""
        return ExitCode.QUARANTINED if self.count(Status.QUARANTINED) else ExitCode.DONE

    def as_dict(self) -> dict[str, Any]:
        """The summary for ``--json`` and ``summary.json``."""
        bad = [o for o in self.outcomes.values() if o.status is Status.QUARANTINED]
        return {
            "out": str(self.out),
            "tiles": {status.value: self.count(status) for status in Status},
            "resumed": self.resumed,
            "rows": self.rows,
            "seconds": round(self.seconds, 2),
            "flags": _total(outcome.flag_counts for outcome in self.outcomes.values()),
            "counts": _total(outcome.counts for outcome in self.outcomes.values()),
            "providers": sorted({o.provider for o in self.outcomes.values() if o.provider}),
            "quarantined": {o.tile: {"error": o.error, "reason": o.reason} for o in bad},
            "exit_code": int(self.exit_code),
        }


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block SIGTERM, SIGINT and SIGUSR1 (a wall-time warning) raise `InterruptedRunError`."""
    handled = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

    def stop(number: int, _frame: FrameType | None) -> None:
        for one in handled:
            signal.signal(one, signal.SIG_IGN)
        name = signal.Signals(number).name
        raise InterruptedRunError(f"stopped by {name}; finished tiles are kept, the same command resumes the run")

    previous = {one: signal.signal(one, stop) for one in handled}
    try:
        yield
    finally:
        for one, handler in previous.items():
            signal.signal(one, handler)


@interruptible()
def run(config: RunConfig, progress: Progress, restart: bool = False) -> RunSummary:
    """Run the main job to its end.

    Raises
    ------
    ConfigError, ContractError
        Before any tile, if something cannot be used.
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
    directory.open(manifest, config.resolved_toml(), restart)
    settled = directory.settled(tiles, run_digest(manifest))
    pending = [ref for tile, ref in tiles.items() if tile not in settled]
    workers = min(config.workers or available_threads(), max(1, len(pending)))
    threads = max(1, available_threads() // workers)
    provenance = _provenance(manifest, model)
    tasks = [TileTask(ref, config, path, provenance, threads) for ref in pending]
    outcomes = dict(settled)
    with progress.of(len(tiles), settled.values()):
        for outcome in measure(tasks, workers) if tasks else ():
            outcomes[outcome.tile] = outcome
            progress.advance(outcome)
            if not outcome.host:  # no worker lived to record it
                directory.write_outcome(outcome)
    summary = RunSummary(config.out, outcomes, len(settled), time.monotonic() - start)
    write_json(config.out / "summary.json", summary.as_dict())
    return summary


def measure(tasks: list[TileTask], workers: int) -> Iterator[TileOutcome]:
    """Final outcomes of the tasks as they come; tiles whose storage failed are tried again first."""
    by_tile = {task.ref.tile: task for task in tasks}
    with local_client(workers) as client:
        running = as_completed([_submit(client, task) for task in tasks], raise_errors=False)
        for future in running:
            outcome = _outcome(future, by_tile)
            if outcome.status is Status.FAILED:
                again = replace(by_tile[outcome.tile], attempt=outcome.attempt + 1)
                by_tile[outcome.tile] = again
                running.add(_submit(client, again))
                continue
            yield outcome


def make_manifest(config: RunConfig, tiles: Mapping[str, TileRef], model: PhotozModel) -> dict[str, Any]:
    """What the run is: enough to repeat it, and to tell it from another."""
    inputs = input_list(tiles)
    return {
        "schema": MANIFEST_SCHEMA,
        "program": "photoz-run",
        "version": __version__,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "config": config.model_dump(mode="json"),
        "config_digest": config.digest(),
        "model": model.contract.name,
        "model_version": model.contract.version,
        "model_digest": model.digest,
        "magnitudes_digest": inputs_digest(input_files([config.magnitudes] if config.magnitudes else [])),
        "provider": model.provider,
        "release": sorted({ref.release for ref in tiles.values()}),
        "tiles": sorted(tiles),
        "inputs_digests": {tile: inputs_digest(files) for tile, files in inputs.items()},
        "inputs": inputs,
    }


def _submit(client: Client, task: TileTask) -> "Future[TileOutcome]":
    return client.submit(run_tile, task, key=f"{task.ref.tile}-{task.attempt}", pure=False)


def _outcome(future: "Future[TileOutcome]", by_tile: Mapping[str, TileTask]) -> TileOutcome:
    error = future.exception()
    if error is None:
        outcome: TileOutcome = future.result()
        return outcome
    if isinstance(error, PhotozError):
        raise error
    tile, _, attempt = str(future.key).rpartition("-")
    task = by_tile[tile]
    return TileOutcome(
        tile,
        Status.QUARANTINED,
        inputs_digest(input_files(task.ref.paths())),
        task.run.run_digest,
        attempt=int(attempt),
        error=type(error).__name__,
        reason=f"{tile}: the worker process died each time it was tried; out of memory, or a library crashed",
        traceback=str(error),
    )


def _provenance(manifest: Mapping[str, Any], model: PhotozModel) -> Provenance:
    return Provenance(
        program=manifest["program"],
        version=manifest["version"],
        packages=", ".join(f"{name} {found}" for name, found in manifest["packages"].items()),
        run_digest=run_digest(manifest),
        config_digest=manifest["config_digest"],
        model=model.contract.name,
        model_version=model.contract.version,
        model_digest=model.digest,
        model_training=model.contract.training.set_name,
        simulated_training=model.contract.training.simulated,
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except ModuleNotFoundError:
        return None


def _total(counts: Iterator[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for name, number in one.items():
            total[name] = total.get(name, 0) + number
    return total
