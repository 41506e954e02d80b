"""A small survey with all that a release must cope with, its run, and ``photoz`` in this process.

FIELD and AGAIN are two tiles of the same sources, each with half of its u pixels flagged; two
sources of OTHER have no magnitude at all; the catalogue of EMPTY has no rows.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from photoz_run.cli.photoz import main
from support.runs import in_process, options
from support.tiles import Tile, change_rows, make_tile, set_pixels

FIELD, AGAIN, OTHER, EMPTY = "KIDS_180.0_-0.5", "KIDS_180.0_-0.6", "KIDS_0.0_-31.2", "KIDS_50.0_0.5"
TILES = (OTHER, FIELD, AGAIN, EMPTY)
HALF = 100
"""Pixel at which the flagged pixels of FIELD end and those of AGAIN begin."""


def make_survey(folder: Path) -> Path:
    """Write the four tiles."""
    field = make_tile(folder, FIELD, seed=7)
    for path in list(folder.iterdir()):
        shutil.copy(path, path.with_name(path.name.replace("_-0.5_", "_-0.6_")))
    again = Tile(**{**vars(field), "name": AGAIN})
    set_pixels(field.image("u", "msk"), lambda msk: np.where(np.arange(msk.shape[1]) < HALF, 64, 0))
    set_pixels(
        again.image("u", "msk"), lambda msk: np.where(np.arange(msk.shape[1]) >= HALF, 64, 0)
    )
    change_rows(make_tile(folder, OTHER, seed=8).catalogue, _lose_magnitudes)
    change_rows(make_tile(folder, EMPTY).catalogue, lambda rows: rows[:0].copy())
    return folder


def measure(data: Path, bundle: Path, out: Path, *more: str) -> int:
    """Run the main job over ``data``, without its faintest sources; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        select = ("--select", "MAG_AUTO_CALIB < 19.5")
        return in_process(patch, [*options(data, bundle, out, "--quantiles"), *select, *more])


def photoz(*arguments: object) -> int:
    """Run ``photoz`` in this process; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["photoz", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def _lose_magnitudes(rows: np.ndarray) -> None:
    for name in rows.dtype.names:
        if name.startswith("MAG_GAAP_"):
            rows[name][10:12] = 99
