"""As many tiles as a test needs: the files of one under many names, linked, not copied."""

import os
from collections.abc import Sequence
from pathlib import Path

from support.tiles import Tile, change_rows, make_tile


def copies(tile: Tile, folder: Path, names: Sequence[str]) -> Path:
    """The files of ``tile`` in ``folder`` under each of ``names``."""
    folder.mkdir(parents=True, exist_ok=True)
    position = tile.name.removeprefix("KIDS")
    files = [path for path in tile.folder.iterdir() if f"{position}_" in path.name]
    for name in names:
        other = name.removeprefix("KIDS")
        for path in files:
            os.link(path, folder / path.name.replace(position, other, 1))
    return folder


def stub_names(number: int) -> list[str]:
    """Names of ``number`` tiles, spread over the sky as those of a survey, in order of name."""
    names = [f"KIDS_{k // 50 % 360}.{k // 18000}_{-(k % 50) / 2 - 1:.1f}" for k in range(number)]
    return sorted(names)


def stub_tiles(folder: Path, number: int) -> list[str]:
    """Tiles with all files of DR5 and a catalogue without a row: there is no work in them. Their
    names.
    """
    tile = make_tile(folder.with_name(f"{folder.name}-one"), number=4)
    change_rows(tile.catalogue, lambda rows: rows[:0])
    names = stub_names(number)
    copies(tile, folder, names)
    return names
