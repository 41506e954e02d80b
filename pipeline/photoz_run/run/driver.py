"""The main job: plan, start workers, hand out tiles, collect outcomes, say how it ended."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

from photoz_run.config import RunConfig
from photoz_run.records import TileOutcome
from photoz_run.run.cluster import longest_wait, most_workers, open_client, patience, sharing
from photoz_run.run.dispatch import Dispatcher
from photoz_run.run.gpus import decided
from photoz_run.run.interruption import interruptible
from photoz_run.run.ledger import RunDirectory, write_document
from photoz_run.run.limits import check_open_files
from photoz_run.run.lock import RunLock, WorkState
from photoz_run.run.plan import simulated_model_warning
from photoz_run.run.planned import plan_run
from photoz_run.run.progress import Progress
from photoz_run.run.summary import RunSummary
from photoz_run.run.supply import Supplied, most_at_once, prepare_window, supply_of
from photoz_run.run.task import TileTask, make_tasks, record

PRIVATE = 0o077
"""Umask by which files are the user's alone; jobs inherit it."""


@interruptible()
def run(config: RunConfig, progress: Progress, restart: bool = False) -> RunSummary:
    """Run the main job, or this process's share of it, to its end.

    Raises
    ------
    ConfigError, BundleError
        Before any tile, if something cannot be used, or the run directory is in use.
    InterruptedRunError
        If a signal ended the run, or the run directory cannot be written. The same command resumes.
    """
    start = time.monotonic()
    if config.cluster.kind != "local" and config.cluster.tls:
        os.umask(PRIVATE)  # the keys of the run lie among its files
    planned = plan_run(config, progress.say)
    survey, manifest, rule = planned.survey, planned.manifest, planned.model.contract
    config = decided(config, planned.model.provider, progress.say)
    tiles = survey.tiles
    directory = RunDirectory(config.out)
    directory.prepare(restart, config.share)
    with RunLock(directory.locks, config.share, progress.say) as lock:
        directory.open(manifest, restart)
        if warning := simulated_model_warning(tiles, rule):
            progress.say(warning)
        number, of = config.share
        mine = dict(list(tiles.items())[number - 1 :: of])
        settled = planned.settled(mine, progress.say)
        pending = [ref for tile, ref in mine.items() if tile not in settled]
        most = most_at_once(survey, [ref.tile for ref in pending], config)
        processes = sharing(config, most)
        check_open_files(most_workers(config, most), config.cluster.kind == "local")
        places = prepare_window(survey, config, settled, restart)
        tasks = make_tasks(
            pending, config, planned.model_file, manifest.provenance, processes, places
        )
        supplied = partial(supply_of, survey, [ref.tile for ref in pending], config, rule)
        with progress.of(len(mine), settled):
            measured = measure(tasks, config, lock, progress, supplied) if tasks else {}
        if of == 1:
            directory.remove_half_written()
        summary = RunSummary(config.out, settled | measured, len(settled), time.monotonic() - start)
        write_document(config.out / f"summary{config.share_name}.json", summary.document)
    return summary


def measure(
    tasks: Sequence[TileTask],
    config: RunConfig,
    lock: RunLock,
    progress: Progress,
    supplied: Supplied,
) -> dict[str, TileOutcome]:
    """Measure every task on the workers of the run; how each tile ended."""
    directory = RunDirectory(config.out)
    supply = supplied(longest_wait(config), progress.say)

    def readmit(tile: str) -> None:
        directory.readmit(tile)
        supply.again(tile)

    dispatcher = Dispatcher(
        tasks,
        progress.say,
        readmit,
        patience(config.cluster),
        longest_wait(config),
        supply.ready,
        supply.at_once,
    )
    outcomes: dict[str, TileOutcome] = {}
    done = Counter(rows=0, bytes=0)
    start = time.monotonic()

    def beat() -> None:
        lock.check()
        supply.check()
        progress.beat(dispatcher.workers)
        lock.tell(
            WorkState(
                seconds=time.monotonic() - start,
                finished=len(outcomes),
                rows=done["rows"],
                bytes=done["bytes"],
                workers=dispatcher.workers,
                running=dispatcher.running,
                failed=dispatcher.failed,
            )
        )

    with supply.telling(dispatcher.wake), open_client(config, dispatcher) as client:
        for outcome in dispatcher.outcomes(client, beat):
            outcomes[outcome.tile] = outcome
            done.update(rows=outcome.rows_out, bytes=outcome.bytes_read)
            if not outcome.host:  # no worker lived to record it
                record(outcome, directory)
            supply.ended(outcome)
            progress.advance(outcome)
    return outcomes
