"""Find the tiles that lie in data folders, and turn what the user typed after ``--tiles`` into a list of tiles."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from photoz_run.errors import ConfigError
from photoz_run.records import BandFiles, TileRef
from photoz_run.survey.data_release import find_data_release
from photoz_run.survey.names import COMPRESSIONS, FileName, canonical_tile_name, parse_file_name

_Part = tuple[str, str]
_Rank = tuple[float, int, int]


def find_tiles(data: Sequence[Path], data_release: str | None = None) -> dict[str, TileRef]:
    """Every tile with at least one file below the ``data`` folders, by name, in order of name.

    Where a file exists more than once, the newest release of the family wins (DR4.1 over DR4.0), then the plain file
    over ``.fz`` over ``.gz``, then the folder named first.

    Parameters
    ----------
    data
        Folders, searched with their sub-folders.
    data_release
        ``DR4`` or ``DR5`` (the newest of that family), or one exact release such as ``DR4.0``; recognised from the
        file names if ``None``.

    Raises
    ------
    ConfigError
        If a folder does not exist, holds no KiDS file, or holds two families and ``data_release`` does not say which.
    """
    found = [
        (name, path, order)
        for order, folder in enumerate(data)
        for name, path in _kids_files(folder)
    ]
    if not found:
        raise ConfigError(
            f"no KiDS file (like KiDS_DR5.0_180.0_-0.5_r_sci.fits) below {_listed(data)}"
        )
    family = _family(found, data_release)
    exact = (
        data_release if data_release and "." in data_release and data_release != "DR4.1" else None
    )
    best: dict[str, dict[_Part, tuple[_Rank, Path]]] = defaultdict(dict)
    for name, path, order in found:
        if find_data_release(name.data_release).family != family or (
            exact and name.data_release != exact
        ):
            continue
        rank = (-float(name.data_release.removeprefix("DR")), _compression_rank(path), order)
        part = (name.band, name.product)
        if part not in best[name.tile] or rank < best[name.tile][part][0]:
            best[name.tile][part] = (rank, path)
    if not best:
        raise ConfigError(f"no file of data release {data_release} below {_listed(data)}")
    return {
        tile: _tile_ref(tile, family, {k: v[1] for k, v in best[tile].items()})
        for tile in sorted(best)
    }


def expand_tiles(specs: Sequence[str], known: Iterable[str]) -> list[str]:
    """The tiles meant by ``specs``: names, globs, ``@file`` (one spec per line, ``#`` comments) or ``all``.

    Returns
    -------
    list of str
        Tile names in order of name, each once.

    Raises
    ------
    ConfigError
        If a name is unknown or given twice, a glob matches nothing, or a file cannot be read.
    """
    names = sorted(known)
    known_names, chosen = set(names), set[str]()
    explicit: set[str] = set()
    for spec in _unfold(specs):
        if spec == "all":
            chosen.update(names)
        elif any(sign in spec for sign in "*?["):
            matches = [name for name in names if fnmatchcase(name, spec)]
            if not matches:
                raise ConfigError(
                    f"no tile matches {spec!r}; there are {len(names)} tiles, {names[0]} to {names[-1]}"
                )
            chosen.update(matches)
        else:
            tile = canonical_tile_name(spec)
            if tile not in known_names:
                close = get_close_matches(tile, names, n=3, cutoff=0.5)
                hint = f"; did you mean {' or '.join(close)}?" if close else ""
                raise ConfigError(f"tile {tile} has no file in the data folders{hint}")
            if tile in explicit:
                raise ConfigError(f"tile {tile} is named twice; name each tile once")
            explicit.add(tile)
            chosen.add(tile)
    return sorted(chosen)


def _unfold(specs: Sequence[str]) -> Iterator[str]:
    for spec in specs:
        if not spec.startswith("@"):
            yield spec
            continue
        try:
            lines = Path(spec[1:]).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"tile list {spec[1:]} cannot be read: {error}") from error
        entries = [line.split("#")[0].strip() for line in lines]
        if not any(entries):
            raise ConfigError(f"tile list {spec[1:]} names no tile")
        yield from (entry for entry in entries if entry)


def _kids_files(folder: Path) -> Iterator[tuple[FileName, Path]]:
    if not folder.is_dir():
        raise ConfigError(f"data folder {folder} does not exist or is not a folder")
    for root, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for file in sorted(files):
            path = Path(root, file)
            if name := parse_file_name(path):
                yield name, path


def _family(found: Sequence[tuple[FileName, Path, int]], data_release: str | None) -> str:
    if data_release:
        return find_data_release(data_release).family
    families = sorted({find_data_release(name.data_release).family for name, _, _ in found})
    if len(families) > 1:
        raise ConfigError(
            f"the data folders hold files of {' and '.join(families)}; say which with --data-release"
        )
    return families[0]


def _tile_ref(tile: str, family: str, files: Mapping[_Part, Path]) -> TileRef:
    bands = [band for band in find_data_release(family).image_bands if (band, "sci") in files]
    images = {
        b: BandFiles(files[b, "sci"], files.get((b, "wei")), files.get((b, "msk"))) for b in bands
    }
    return TileRef(tile, family, files.get(("", "cat")), images)


def _compression_rank(path: Path) -> int:
    return COMPRESSIONS.index(path.suffix if path.suffix in COMPRESSIONS else "")


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)
