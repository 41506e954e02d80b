"""What a worker does with one task: measure the tile, record how it ended, send back a small outcome."""

import os
import socket
import time
import traceback
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from models.session import PhotozModel
from pipeline.catalogue.provenance import Provenance, input_files, inputs_digest
from pipeline.config import RunConfig
from pipeline.errors import BadDataError, ConfigError, ContractError, OutputError, PhotozError, TransientError, context
from pipeline.records import Status, TileOutcome, TileRef
from pipeline.run.ledger import RunDirectory, make_folder
from pipeline.run.plan import load_model
from pipeline.survey.catalogues import count_rows
from pipeline.tile import TileResult, process_tile

BACKOFF_SECONDS = 2.0
"""Pause before a tile's second try; doubled for each further one."""


@dataclass(frozen=True)
class TileTask:
    """All that a worker needs to measure one tile: records and paths."""

    ref: TileRef
    config: RunConfig
    model: Path
    run: Provenance
    threads: int
    attempt: int = 1


def run_tile(task: TileTask) -> TileOutcome:
    """Measure one tile and record its outcome in the run directory.

    Raises
    ------
    ConfigError
        If this worker's model is not the run's: no tile can be measured here.
    OutputError
        If the run directory cannot be written: no tile can be recorded.
    """
    if task.attempt > 1:
        time.sleep(BACKOFF_SECONDS * 2 ** (task.attempt - 2))
    model = _model(task)
    inputs = input_files(task.ref.paths())
    blank = TileOutcome(
        task.ref.tile,
        Status.FAILED,
        inputs_digest(inputs),
        task.run.run_digest,
        catalogue_rows=_rows_if_readable(task.ref),
        input_bytes=sum(max(0, file.bytes) for file in inputs),
        host=f"{socket.gethostname()}:{os.getpid()}",
        provider=model.provider,
        attempt=task.attempt,
    )
    directory = RunDirectory(task.config.out)
    try:
        folder = directory.tile_folder(task.ref.tile)
        make_folder(folder)
        with context(task.ref.tile):
            result = process_tile(task.ref, task.config, model, folder, task.run, inputs)
            outcome = _good(blank, result)
    except (ConfigError, OutputError):
        raise
    except TransientError as error:
        last = task.attempt >= task.config.attempts
        outcome = _bad(blank, error, Status.QUARANTINED if last else Status.FAILED)
    except BadDataError as error:
        outcome = _bad(blank, error, Status.QUARANTINED)
    except Exception as error:  # noqa: BLE001 - the border of a tile: one bad tile never stops a run
        outcome = replace(_bad(blank, error, Status.QUARANTINED), traceback=traceback.format_exc())
    if outcome.status is not Status.FAILED:
        directory.write_outcome(outcome)
    return outcome


def _rows_if_readable(ref: TileRef) -> int | None:
    """Rows of the tile's catalogue: a release counts those of a quarantined tile too."""
    try:
        return None if ref.catalogue is None else count_rows(ref.catalogue)
    except PhotozError:
        return None


def _model(task: TileTask) -> PhotozModel:
    model = _load(task.model, task.config.provider, task.config.allow_fallback, task.threads)
    if model.digest != task.run.model_digest:
        raise ContractError(f"{task.model}: the file has changed since the run was planned; start the run again")
    return model


_load = lru_cache(maxsize=1)(load_model)


def _good(blank: TileOutcome, result: TileResult) -> TileOutcome:
    if result.rows_in != result.rows_out:
        raise AssertionError(f"{result.rows_in} sources in, {result.rows_out} rows out")
    return replace(blank, status=Status.DONE if result.rows_in else Status.NO_WORK, **asdict(result))


def _bad(blank: TileOutcome, error: Exception, status: Status) -> TileOutcome:
    return replace(blank, status=status, error=type(error).__name__, reason=str(error) or repr(error))
