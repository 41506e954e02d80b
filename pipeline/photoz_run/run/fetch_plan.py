"""What a run over tiles from afar will fetch, how long that takes, and the window it needs."""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import monotonic

from photoz_models.session import available_threads
from photoz_models.stamp_rule import StampRule
from photoz_run.afar.fetching import Portion, fetch
from photoz_run.afar.listing import AfarSurvey, RemoteFile
from photoz_run.afar.transfer import Manners
from photoz_run.config import RunConfig
from photoz_run.errors import PhotozError
from photoz_run.run.fetchers import Stopped, size_of
from photoz_run.run.finding import find_survey, narrowed
from photoz_run.run.plan import FetchPlan, Say, TilePlan, files_lacking

TRIAL_SECONDS = 5.0
"""So long files are fetched, and thrown away, to see how fast they come."""
TRIAL_BYTES = 256 << 20
SPARE = 1
"""Tiles on their way while every worker measures one."""


def plan_afar(config: RunConfig, rule: StampRule, say: Say) -> tuple[list[TilePlan], FetchPlan]:
    """The tiles of a dry run with what is fetched of each, before anything is known of its sources.

    Raises
    ------
    ConfigError, InterruptedRunError
        As a run over them would.
    """
    survey = narrowed(find_survey(_with_window(config), say), _with_window(config), rule)
    sizes = {tile: size_of(survey, ref) for tile, ref in survey.tiles.items()}
    plans = [
        TilePlan(
            tile,
            files_lacking(ref, rule),
            sizes[tile],
            None,
            _problem(survey, tile),
            ("fetch",) if sizes[tile] else (),
        )
        for tile, ref in survey.tiles.items()
    ]
    rate = measured_rate(survey, config)
    total, largest = sum(sizes.values()), max(sizes.values())
    seconds = total / rate if rate else None
    _, workers = config.worker_range or (1, available_threads())
    return plans, FetchPlan(total, rate, seconds, (workers + SPARE) * largest, largest)


def measured_rate(survey: AfarSurvey, config: RunConfig) -> float | None:
    """Bytes a second at which the first files come, as many at once as there are fetchers."""
    files = [file for ref in survey.tiles.values() for file in survey.files_of(ref)]
    number = max(1, config.afar.fetchers)
    rate = config.afar.fetch_rate
    manners = Manners(rate=rate * 1e6 / number if rate else None, attempts=1)
    start, moved = monotonic(), [0]

    def tick(more: int) -> None:
        moved[0] += more
        if monotonic() - start > TRIAL_SECONDS or moved[0] > TRIAL_BYTES:
            raise Stopped

    def try_file(file: RemoteFile) -> None:
        try:
            tick(0)
            fetch(Portion(replace(file, path=Path(folder, file.path.name))), manners, tick)
        except (Stopped, PhotozError):
            return

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(number) as pool:
        list(pool.map(try_file, files[: 4 * number]))
    return moved[0] / (monotonic() - start) if moved[0] else None


def _with_window(config: RunConfig) -> RunConfig:
    """The settings with a window, which a dry run need not have."""
    if config.afar.window is not None:
        return config
    update = {"window": "1", "scratch_shared": Path()}
    return config.model_copy(update={"afar": config.afar.model_copy(update=update)})


def _problem(survey: AfarSurvey, tile: str) -> str:
    """Why a tile cannot be fetched: the first file that is not there."""
    files: Sequence[RemoteFile] = survey.files_of(survey.tiles[tile])
    missing = next((file for file in files if file.bytes < 0), None)
    return f"{missing.shown}: not there, or its server does not tell its size" if missing else ""
