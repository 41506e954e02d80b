"""A worker function that dies on one tile; workers import it by this name."""

import os

from pipeline.records import TileOutcome
from pipeline.run.worker import TileTask, run_tile

DEADLY = "KIDS_10.0_-31.2"


def run_tile_or_die(task: TileTask) -> TileOutcome:
    """Measure the tile, or end the process as a crash in a library does."""
    if task.ref.tile == DEADLY:
        os.abort()
    return run_tile(task)
