"""What a worker does with one task: measure the tile, record its outcome, send the outcome back."""

import io
import pickle
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from photoz_models.errors import BundleError
from photoz_models.session import PhotozModel, Provider
from photoz_run import __version__
from photoz_run.errors import (
    ConfigError,
    ContractError,
    InterruptedRunError,
    OutputError,
    PhotozError,
    context,
)
from photoz_run.records import TileOutcome
from photoz_run.run.ledger import RunDirectory, make_folder
from photoz_run.run.offline import keep_caches_local
from photoz_run.run.task import TileTask, Try, record
from photoz_run.run.tile_log import TileLog, node_name, open_log, process_name
from photoz_run.tile import process_tile
from photoz_run.version import program_commit


@dataclass(frozen=True)
class Refusal:
    """What a host answers that cannot measure any tile of the run; ``error`` says why."""

    tile: str
    host: str
    error: PhotozError


def run_tile(task: TileTask) -> TileOutcome | Refusal:
    """Measure one tile and record its outcome in the run directory.

    A host without a working model, or that cannot write, gives a `Refusal`: the tile is not to
    blame.
    """
    try:
        return _run_alone(task) if task.suspect else run_here(task)
    except (ConfigError, BundleError, InterruptedRunError) as error:
        return Refusal(task.ref.tile, process_name(), error)


def run_here(task: TileTask) -> TileOutcome:
    """Measure one tile in this process.

    Raises
    ------
    ConfigError, BundleError
        If this worker's model is not the run's, or cannot be used: no tile can be measured here.
    OutputError
        If the run directory cannot be written: no tile can be recorded.
    """
    directory = RunDirectory(task.config.out)
    with open_log(directory.log(task.ref.tile), task.ref.tile) as log:
        log.say(f"try {task.attempt}")
        outcome = _measure(task, directory, log)
        record(outcome, directory)
        steps = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in outcome.seconds.items())
        words = (outcome.status, steps, outcome.error, outcome.reason)
        log.say(" ".join(word for word in words if word))
    return outcome


def introduce() -> tuple[str, str]:
    """The name of this host, and the program that it would measure tiles with."""
    return node_name(), f"{__version__} {program_commit()}"


def _measure(task: TileTask, directory: RunDirectory, log: TileLog) -> TileOutcome:
    """Measure the tile; the border of a tile: one bad tile never stops a run."""
    model = _model(task)
    this_try = Try.start(task, process_name(), model.provider)
    folder = directory.tile_folder(task.ref.tile)
    try:
        make_folder(folder)
        with context(task.ref.tile):
            result = process_tile(
                task.ref,
                task.config,
                model,
                folder,
                task.run,
                this_try.inputs,
                log.say,
                task.threads,
            )
            return this_try.measured(result)
    except (ConfigError, OutputError):
        raise
    except Exception as error:  # noqa: BLE001 - the border of a tile
        return this_try.failed(error)


def _run_alone(task: TileTask) -> TileOutcome:
    """Measure a suspect in a child process: its death proves the tile's guilt and harms no other.

    The child answers the rows of the catalogue, which nobody else dares to open, and then the
    outcome.
    """
    try:
        child = subprocess.run(
            [sys.executable, "-m", "photoz_run.run.alone"],
            input=pickle.dumps(task),
            stdout=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise InterruptedRunError(
            f"{node_name()} cannot start a process ({error.strerror})"
        ) from error
    answers = io.BytesIO(child.stdout)
    catalogue_rows = pickle.load(answers) if child.stdout else None
    if child.returncode == 0:
        outcome = pickle.load(answers)
        if isinstance(outcome, PhotozError):
            raise outcome
        assert isinstance(outcome, TileOutcome)
        return outcome
    outcome = Try.start(task, process_name()).ended(child.returncode, catalogue_rows)
    directory = RunDirectory(task.config.out)
    with open_log(directory.log(task.ref.tile), task.ref.tile) as log:
        log.say(f"{outcome.status} {outcome.reason}")
    record(outcome, directory)
    return outcome


def _model(task: TileTask) -> PhotozModel:
    here = (__version__, program_commit())
    planned = (task.run.version, task.run.commit)
    if here != planned:
        raise ContractError(
            f"{node_name()} has photoz-run {' '.join(here)}, the run was planned with"
            f" {' '.join(planned)}: install the same everywhere"
        )
    model = _load(task.model, task.config.provider, task.config.allow_fallback, task.threads)
    if model.digest != task.run.model_digest:
        raise ContractError(
            f"{task.model}: the file has changed since the run was planned; start the run again"
        )
    return model


@lru_cache(maxsize=1)
def _load(path: Path, provider: Provider, allow_fallback: bool, threads: int) -> PhotozModel:
    keep_caches_local()  # before a runtime starts that keeps one
    return PhotozModel.load(path, provider, allow_fallback, threads)
