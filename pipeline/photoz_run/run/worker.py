"""What a worker does with one task: measure the tile, record how it ended, send back a small outcome."""

import io
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from photoz_models.session import PhotozModel, Provider, available_threads
from photoz_run import __version__
from photoz_run.catalogue.provenance import InputFile, Provenance, input_files, inputs_digest
from photoz_run.config import RunConfig
from photoz_run.errors import (
    BadDataError,
    ConfigError,
    ContractError,
    InterruptedRunError,
    OutputError,
    PhotozError,
    TransientError,
    context,
)
from photoz_run.records import Failure, Status, TileOutcome, TileRef, TileResult
from photoz_run.run.ledger import RunDirectory, make_folder
from photoz_run.run.offline import keep_caches_local
from photoz_run.run.plan import load_model
from photoz_run.run.tile_log import TileLog, node_name, now
from photoz_run.survey.catalogues import count_rows
from photoz_run.tile import process_tile
from photoz_run.version import program_commit

LOST_WORKER = "LostWorker"
"""Class of a failure in which the worker process went away with the tile."""

TOLD_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals by which somebody ends a process; all others mean that it crashed or ran out of memory."""


@dataclass(frozen=True)
class TileTask:
    """All that a worker needs to measure one tile: records and paths.

    ``sharing`` processes share the cores that this one may use.
    """

    ref: TileRef
    config: RunConfig
    model: Path
    run: Provenance
    sharing: int
    earlier: tuple[Failure, ...] = ()

    @property
    def attempt(self) -> int:
        """The number of this try, from 1."""
        return len(self.earlier) + 1

    @property
    def last(self) -> bool:
        """Whether a failure of this try is final."""
        return self.attempt >= self.config.attempts

    @property
    def suspect(self) -> bool:
        """Whether a worker went away with this tile before: it is then measured in a process of its own."""
        return any(failure.error == LOST_WORKER for failure in self.earlier)

    def after(self, failure: Failure) -> "TileTask":
        """The task of the next try."""
        return replace(self, earlier=(*self.earlier, failure))


def make_tasks(
    refs: Sequence[TileRef], config: RunConfig, model: Path, run: Provenance, sharing: int
) -> list[TileTask]:
    """The first try of each tile; the list of all tiles does not travel with each of them."""
    settings = config.model_copy(update={"tiles": ("all",)})
    return [TileTask(ref, settings, model, run, sharing) for ref in refs]


@dataclass(frozen=True)
class Refusal:
    """What a host answers that cannot measure any tile of the run; ``error`` says why."""

    tile: str
    host: str
    error: PhotozError


def run_tile(task: TileTask) -> TileOutcome | Refusal:
    """Measure one tile and record its outcome in the run directory; the border of a tile.

    A host without a working model, or that cannot write, gives a `Refusal`: the tile is not to blame.
    """
    try:
        return _run_alone(task) if task.suspect else run_here(task)
    except (ConfigError, InterruptedRunError) as error:
        return Refusal(task.ref.tile, host_name(), error)


def run_here(task: TileTask) -> TileOutcome:
    """Measure one tile in this process.

    Raises
    ------
    ConfigError
        If this worker's model is not the run's: no tile can be measured here.
    OutputError
        If the run directory cannot be written: no tile can be recorded.
    """
    directory = RunDirectory(task.config.out)
    with TileLog(directory.log(task.ref.tile), task.ref.tile) as log:
        log.say(f"try {task.attempt}")
        outcome = _measure(task, directory, log)
        steps = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in outcome.seconds.items())
        log.say(
            " ".join(
                part for part in (outcome.status, steps, outcome.error, outcome.reason) if part
            )
        )
    return outcome


def introduce() -> tuple[str, str]:
    """The name of this host, and the program that it would measure tiles with."""
    return node_name(), f"{__version__} {program_commit()}"


def host_name() -> str:
    """Host and process, as outcomes record them."""
    return f"{node_name()}:{os.getpid()}"


def _measure(task: TileTask, directory: RunDirectory, log: TileLog) -> TileOutcome:
    model = _model(task)
    inputs = input_files(task.ref.paths())
    blank = replace(
        blank_outcome(task, inputs),
        input_bytes=sum(max(0, file.bytes) for file in inputs),
        host=host_name(),
        provider=model.provider,
    )
    try:
        folder = directory.tile_folder(task.ref.tile)
        make_folder(folder)
        with context(task.ref.tile):
            result = process_tile(task.ref, task.config, model, folder, task.run, inputs, log.say)
            outcome = _good(blank, result)
    except (ConfigError, OutputError):
        raise
    except TransientError as error:
        outcome = _bad(blank, error, Status.QUARANTINED if task.last else Status.FAILED)
    except BadDataError as error:
        outcome = _bad(blank, error, Status.QUARANTINED)
    except Exception as error:  # noqa: BLE001 - the border of a tile: one bad tile never stops a run
        outcome = replace(_bad(blank, error, Status.QUARANTINED), traceback=traceback.format_exc())
    outcome = replace(outcome, ended=now())
    if outcome.status in (Status.DONE, Status.NO_WORK):
        directory.write_outcome(outcome)
    elif outcome.status is Status.QUARANTINED:
        outcome = replace(outcome, catalogue_rows=rows_if_readable(task.ref))
        directory.write_outcome(outcome)
    return outcome


def blank_outcome(task: TileTask, inputs: Sequence[InputFile]) -> TileOutcome:
    """The outcome of a try of which nothing is known yet; opens no file."""
    return TileOutcome(
        task.ref.tile,
        Status.FAILED,
        inputs_digest(inputs),
        task.run.run_digest,
        attempt=task.attempt,
        earlier=task.earlier,
    )


def rows_if_readable(ref: TileRef) -> int | None:
    """Rows of the tile's catalogue: a release counts those of a quarantined tile too."""
    try:
        return None if ref.catalogue is None else count_rows(ref.catalogue)
    except PhotozError:
        return None


def _run_alone(task: TileTask) -> TileOutcome:
    """Measure a suspect in a child process, so that its death proves the tile's guilt and harms nobody else.

    The child answers the rows of the catalogue, which only it dares to open, and then the outcome.
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
    rows = pickle.load(answers) if child.stdout else None
    if child.returncode == 0:
        outcome = pickle.load(answers)
        if isinstance(outcome, PhotozError):
            raise outcome
        assert isinstance(outcome, TileOutcome)
        return outcome
    number = -child.returncode
    name = (
        signal.Signals(number).name
        if number in set(signal.Signals)
        else f"exit status {child.returncode}"
    )
    told = number in TOLD_TO_END
    hint = ": out of memory?" if number == signal.SIGKILL else "" if told else ": a library crashed"
    outcome = replace(
        blank_outcome(task, input_files(task.ref.paths())),
        status=Status.FAILED if told and not task.last else Status.QUARANTINED,
        catalogue_rows=rows,
        host=host_name(),
        ended=now(),
        error=LOST_WORKER,
        reason=f"{task.ref.tile}: its process, which measured nothing else, was ended by {name}{hint}",
    )
    directory = RunDirectory(task.config.out)
    with TileLog(directory.log(task.ref.tile), task.ref.tile) as log:
        log.say(f"{outcome.status} {outcome.reason}")
    if outcome.status is not Status.FAILED:
        directory.write_outcome(outcome)
    return outcome


def _model(task: TileTask) -> PhotozModel:
    if (here := (__version__, program_commit())) != (task.run.version, task.run.commit):
        raise ContractError(
            f"{node_name()} has photoz-run {' '.join(here)}, the run was planned with {task.run.version}"
            f" {task.run.commit}: install the same everywhere"
        )
    threads = max(1, available_threads() // task.sharing)
    model = _load(task.model, task.config.provider, task.config.allow_fallback, threads)
    if model.digest != task.run.model_digest:
        raise ContractError(
            f"{task.model}: the file has changed since the run was planned; start the run again"
        )
    return model


@lru_cache(maxsize=1)
def _load(path: Path, provider: Provider, allow_fallback: bool, threads: int) -> PhotozModel:
    keep_caches_local()  # before a runtime starts that keeps one
    return load_model(path, provider, allow_fallback, threads)


def _good(blank: TileOutcome, result: TileResult) -> TileOutcome:
    if result.rows_in != result.rows_out:
        raise AssertionError(f"{result.rows_in} sources in, {result.rows_out} rows out")
    return replace(blank, status=Status.DONE if result.rows_in else Status.NO_WORK, **vars(result))


def _bad(blank: TileOutcome, error: Exception, status: Status) -> TileOutcome:
    return replace(
        blank, status=status, error=type(error).__name__, reason=str(error) or repr(error)
    )
