"""What a worker does with one task: measure the tile, record its outcome, send the outcome back."""

import io
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import monotonic, sleep

from distributed import get_worker

from photoz_models.errors import BundleError, NoGpuError
from photoz_models.providers import Provider
from photoz_models.session import PhotozModel
from photoz_run import __version__
from photoz_run.errors import (
    ConfigError,
    ContractError,
    GpuError,
    HostError,
    InterruptedRunError,
    OutputError,
    PhotozError,
    context,
)
from photoz_run.records import Status, TileOutcome
from photoz_run.run.ledger import RunDirectory, make_folder
from photoz_run.run.limits import ended_after, lacking, limit_memory, out_of_memory
from photoz_run.run.offline import keep_caches_local
from photoz_run.run.task import OUT_OF_MEMORY, TileTask, Try, record
from photoz_run.run.tile_log import TileLog, node_name, open_log, process_name
from photoz_run.tile import process_tile
from photoz_run.version import program_commit

OVERDUE = 1
"""Exit status by which `ended_after` ends a process."""

ANSWER_SECONDS, LOOK_SECONDS = 60.0, 0.1
"""Time in which the driver takes the answer of a worker that ends then, and how often it looks."""

_LOADING = threading.Lock()

END_SECONDS = 10.0
"""Time in which a process that is overdue ends itself, and one that was killed is gone."""


@dataclass(frozen=True)
class Refusal:
    """What a host answers that cannot measure any tile of the run; ``error`` says why.

    After a `HostError` it may be able to do so again.
    """

    tile: str
    host: str
    error: PhotozError
    ends: bool = False
    """Whether the worker ends now, to start anew."""


def run_tiles(tasks: Sequence[TileTask]) -> list[TileOutcome | Refusal]:
    """Measure tiles one after the other, until this worker should rest or end."""
    answers: list[TileOutcome | Refusal] = []
    for task in tasks:
        answer = run_tile(task)
        answers.append(answer)
        if isinstance(answer, Refusal) or answer.status is Status.FAILED:
            break
    return answers


def run_tile(task: TileTask) -> TileOutcome | Refusal:
    """Measure one tile and record its outcome in the run directory.

    A host without a working model, or that cannot write, gives a `Refusal`: the tile is not to
    blame.
    """
    renewable = has_nanny()
    try:
        if renewable:
            limit_memory(task, model_of(task).provider)
        outcome = _run_alone(task) if task.suspect else run_here(task)
        if outcome.error == OUT_OF_MEMORY and renewable and not task.suspect:
            _end_soon()  # perhaps another tile left too little
        return outcome
    except NoGpuError as error:
        # A job has one GPU, and its host no other. Of this machine's the driver has tried one.
        if task.config.cluster.elsewhere or not renewable:
            return Refusal(task.ref.tile, process_name(), error)
        return _leave_gpu(task, GpuError(f"{node_name()}: {error}"))
    except GpuError as error:
        return _leave_gpu(task, error)
    except (ConfigError, BundleError, InterruptedRunError, HostError) as error:
        ends = isinstance(error, HostError) and renewable
        if ends:
            _end_soon()  # what it lacks may have leaked here
        return Refusal(task.ref.tile, process_name(), error, ends)


def has_nanny() -> bool:
    """Whether this process is a worker's alone, and is started again when it ends."""
    try:
        return get_worker().nanny is not None
    except ValueError:
        return False


def _leave_gpu(task: TileTask, error: GpuError) -> Refusal:
    """End this worker and its nanny, which would start it again on the same GPU."""
    renewable = has_nanny()
    if renewable:
        worker = get_worker()
        _once_answered(lambda: worker.loop.add_callback(worker.close, nanny=True))
    return Refusal(task.ref.tile, process_name(), error, renewable)


def _end_soon() -> None:
    """End this worker once its answer has left it; its nanny starts it again."""
    _once_answered(lambda: os._exit(1))


def _once_answered(end: Callable[[], object]) -> None:
    """Call ``end`` when the driver has the answer of the task that runs in this thread.

    Then the scheduler lets the worker forget the task. Were it to end before, the tile would be
    blamed.
    """
    worker = get_worker()
    key = worker.get_current_task()

    def wait() -> None:
        last = monotonic() + ANSWER_SECONDS
        while key in worker.state.tasks and monotonic() < last:
            sleep(LOOK_SECONDS)
        end()

    threading.Thread(target=wait, daemon=True, name="end").start()


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
    with open_log(directory.log(task.ref.tile), task.ref.tile) as log, ended_after(task, log):
        log.say(f"try {task.attempt}")
        outcome = _measure(task, directory, log)
        record(outcome, directory)
        steps = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in outcome.seconds.items())
        words = (outcome.status, steps, outcome.error, outcome.reason)
        log.say(" ".join(word for word in words if word))
    return outcome


def introduce(task: TileTask | None = None) -> tuple[str, str]:
    """The name of this host, and the program that it would measure tiles with.

    The model of ``task`` is loaded meanwhile: the first tile may still be on its way.
    """
    if task is not None:
        threading.Thread(target=_prepare, args=(task,), daemon=True, name="model").start()
    return node_name(), f"{__version__} {program_commit()}"


def _prepare(task: TileTask) -> None:
    with suppress(PhotozError, MemoryError):  # the first tile meets it too
        model_of(task)


def _measure(task: TileTask, directory: RunDirectory, log: TileLog) -> TileOutcome:
    """Measure the tile; the border of a tile: one bad tile never stops a run."""
    model = model_of(task)
    this_try = Try.start(task, process_name(), model.computes_on)
    folder = directory.tile_folder(task.ref.tile)
    try:
        make_folder(folder)
        with context(task.ref.tile):
            this_try.check()
            result = process_tile(
                task.ref,
                task.config,
                model,
                folder,
                task.run,
                this_try.inputs,
                log.say,
                task.threads,
                this_try.fetched,
            )
            return this_try.measured(result)
    except (ConfigError, OutputError, GpuError):
        raise
    except Exception as error:
        lack = lacking(error)
        if lack:
            log.say(f"this host lacks something: {lack}")
            raise HostError(f"{node_name()}: {lack}") from error
        return this_try.starved() if out_of_memory(error) else this_try.failed(error)


def _run_alone(task: TileTask) -> TileOutcome:
    """Measure a suspect in a child process: its death proves the tile's guilt and harms no other.

    The child answers the rows of the catalogue, which nobody else dares to open, and then the
    outcome.
    """
    start = monotonic()
    answer = _answer_of_child(task)
    if answer is None:
        return _settle_alone(task, Try.start(task, process_name()).overdue(node_name()))
    exit_status, output = answer
    if exit_status == OVERDUE and monotonic() - start >= task.limit:
        return _settle_alone(task, Try.start(task, process_name()).overdue(node_name()))
    answers = io.BytesIO(output)
    catalogue_rows = pickle.load(answers) if output else None
    if exit_status == 0:
        outcome = pickle.load(answers)
        if isinstance(outcome, PhotozError):
            raise outcome
        assert isinstance(outcome, TileOutcome)
        return outcome
    this_try = Try.start(task, process_name())
    return _settle_alone(task, this_try.ended(exit_status, catalogue_rows))


def _answer_of_child(task: TileTask) -> tuple[int, bytes] | None:
    """Exit status and answer of a suspect's own process; ``None`` if it took too long."""
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "photoz_run.run.alone", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    except OSError as error:
        raise HostError(f"{node_name()} cannot start a process ({error.strerror})") from error
    try:
        output, _ = child.communicate(pickle.dumps(task), timeout=task.limit + END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        with suppress(subprocess.TimeoutExpired):  # what hangs in the kernel cannot be killed
            child.communicate(timeout=END_SECONDS)
        return None
    return child.returncode, output


def _settle_alone(task: TileTask, outcome: TileOutcome) -> TileOutcome:
    """Log and record how a try ended whose own process could not."""
    directory = RunDirectory(task.config.out)
    with open_log(directory.log(task.ref.tile), task.ref.tile) as log:
        log.say(f"{outcome.status} {outcome.reason}")
    record(outcome, directory)
    return outcome


def model_of(task: TileTask) -> PhotozModel:
    """The model of a task as this process computes it; loaded once.

    Raises
    ------
    ContractError, BundleError
        If it is not that of the run, or cannot be used here.
    """
    here = (__version__, program_commit())
    planned = (task.run.version, task.run.commit)
    if here != planned:
        raise ContractError(
            f"{node_name()} has photoz-run {' '.join(here)}, the run was planned with"
            f" {' '.join(planned)}: install the same everywhere"
        )
    with _LOADING:
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
