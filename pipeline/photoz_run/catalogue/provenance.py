"""What a tile file says about how it was made; the same when the tile is made again."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from photoz_models.documents import Record
from photoz_run.records import Fetched, TileRef

LOOKERS = 32
"""Tiles whose files are looked at at once."""


@dataclass(frozen=True, slots=True)
class InputFile(Record):
    """An input file: name, size and modification time tell whether it has changed."""

    name: str
    bytes: int
    modified_ns: int


@dataclass(frozen=True)
class Provenance(Record):
    """The part of a tile file's provenance that is common to a run."""

    program: str
    version: str
    commit: str
    packages: str
    run_digest: str
    config_digest: str
    model: str
    model_version: str
    model_digest: str
    model_training: str
    simulated_training: bool


Look = Callable[[Mapping[str, TileRef]], Mapping[str, tuple[InputFile, ...]]]
"""Says what the input files of tiles are now."""


def input_files(paths: Sequence[Path]) -> tuple[InputFile, ...]:
    """The files as they are now, in the order given; missing ones have size -1."""
    return tuple(_input_file(path) for path in paths)


def look_at_inputs(tiles: Mapping[str, TileRef]) -> dict[str, tuple[InputFile, ...]]:
    """The input files of each tile, by its name; many are looked at at once.

    A parallel file system answers each question late, and many together as soon as one.
    """
    with ThreadPoolExecutor(LOOKERS) as pool:
        found = pool.map(lambda ref: input_files(ref.paths()), tiles.values())
        return dict(zip(tiles, found, strict=True))


def inputs_digest(files: Sequence[InputFile]) -> str:
    """sha256 over names, sizes and modification times, whatever the folders are called."""
    return hashlib.sha256(json.dumps([asdict(file) for file in files]).encode()).hexdigest()


def tile_provenance(
    run: Provenance, ref: TileRef, files: Sequence[InputFile], fetched: Sequence[Fetched] = ()
) -> dict[str, str]:
    """Provenance of one tile as short texts, for Parquet metadata and FITS headers.

    Files that were ``fetched`` are named with where they came from.
    """
    origins = {
        file.name: {"url": file.url, "etag": file.etag, "sha256": file.digest} for file in fetched
    }
    return {
        **{key: str(value) for key, value in asdict(run).items()},
        "tile": ref.tile,
        "release": ref.data_release,
        "inputs_digest": inputs_digest(files),
        "inputs": json.dumps(
            [
                {"name": file.name, "bytes": file.bytes} | origins.get(file.name, {})
                for file in files
            ]
        ),
    }


def _input_file(path: Path) -> InputFile:
    try:
        stat = path.stat()
    except OSError:
        return InputFile(path.name, -1, 0)
    return InputFile(path.name, stat.st_size, stat.st_mtime_ns)
