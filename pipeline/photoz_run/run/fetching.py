"""``photoz fetch``: the window of a run is filled by a machine of its own, which has a network."""

import time
from dataclasses import dataclass

from photoz_models.documents import Record, read_document
from photoz_models.errors import DocumentError
from photoz_run.allocator import give_back_freed_memory
from photoz_run.catalogue.provenance import inputs_digest
from photoz_run.config import RunConfig
from photoz_run.progress import StepProgress
from photoz_run.records import TileOutcome
from photoz_run.run.fetchers import Fetchers
from photoz_run.run.interruption import interruptible
from photoz_run.run.ledger import RunDirectory
from photoz_run.run.lock import RunLock
from photoz_run.run.planned import PlannedRun, Say, plan_run, write_places
from photoz_run.run.supply import prepare_window, work_state
from photoz_run.run.window import Window

TELL_SECONDS = 1.0


@dataclass(frozen=True)
class FetchSummary(Record):
    """What ``photoz fetch --json`` says."""

    tiles: int
    """Delivered by this process."""
    bytes: int
    seconds: float


@interruptible("what came stays in the window, the same command resumes")
def fetch_run(config: RunConfig, progress: StepProgress, say: Say) -> FetchSummary:
    """Fetch all tiles of a run that have no outcome yet, as room in its window becomes free.

    Raises
    ------
    ConfigError
        If something cannot be used, nothing lies afar, or another process fetches for the run.
    InterruptedRunError
        If a signal ended it, the archive is away, or the window cannot be written.
    """
    give_back_freed_memory()
    planned = plan_run(config, say, compute=False)
    directory = RunDirectory(config.out)
    directory.prepare(restart=False, share=config.share)
    window = Window(config)
    with RunLock(window.locks, config.share, say) as lock:
        directory.open(planned.manifest, restart=False)
        write_places(config, planned.survey)
        settled = planned.settled(planned.survey.tiles, say)
        places = prepare_window(planned.survey, config, settled, restart=False)
        pending = [tile for tile in places if tile not in settled]
        fetchers = Fetchers(
            planned.survey,
            pending,
            config,
            planned.model.contract,
            window,
            settled=lambda tile: _has_ended(planned, directory, tile),
            say=say,
        )
        with fetchers, progress.shown(), progress.step("fetching", len(pending)) as tick:
            left = len(pending)
            lock.tell(work_state(fetchers))
            lock.write()
            while fetchers.left:
                lock.check()
                fetchers.check()
                lock.tell(work_state(fetchers))
                time.sleep(TELL_SECONDS)
                tick(left - fetchers.left)
                left = fetchers.left
            fetchers.check()
        state = fetchers.state
    window.leave()
    return FetchSummary(state.tiles, state.bytes, round(state.seconds, 2))


def _has_ended(planned: PlannedRun, directory: RunDirectory, tile: str) -> bool:
    """Whether a driver has recorded an outcome of the tile as it is now."""
    inputs = planned.survey.inputs_of(planned.survey.tiles[tile])
    for folder in (directory.tiles, directory.quarantine):
        try:
            outcome = read_document(TileOutcome, directory.mark(folder, tile))
        except DocumentError:
            continue
        ours = outcome.run_digest == planned.manifest.run_digest
        if ours and outcome.inputs_digest == inputs_digest(inputs):
            return True
    return False
