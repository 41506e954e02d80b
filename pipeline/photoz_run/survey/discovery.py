"""The tiles that lie in data folders, and those that the user means by ``--tiles``."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from photoz_run.errors import ConfigError, PhotozError
from photoz_run.images.opening import first_header, image_header, same_content, written_at
from photoz_run.records import BandFiles, TileRef
from photoz_run.survey.data_release import find_data_release
from photoz_run.survey.names import (
    COMPRESSIONS,
    FileName,
    canonical_tile_name,
    is_archive_name,
    parse_file_name,
)

READERS = 8
"""Files of ESO's archive whose headers are read at once."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SurveyFile:
    """A file of the survey: what its name says, where it lies, in which data folder (from 0)."""

    name: FileName
    path: Path
    folder: int

    @property
    def part(self) -> tuple[str, str]:
        """Band and product."""
        return self.name.band, self.name.product

    @property
    def rank(self) -> tuple[float, int, int]:
        """Smaller is better: the newer release, the quicker container, the folder named first."""
        release = -float(self.name.data_release.removeprefix("DR"))
        return release, COMPRESSIONS.index(self.name.compression), self.folder


def find_tiles(
    data: Sequence[Path | str], data_release: str | None = None, say: Say = lambda _: None
) -> dict[str, TileRef]:
    """Every tile with at least one file below the ``data`` folders, by name, in order of name.

    Where a file exists more than once, the newest release of the family wins (DR4.1 over DR4.0),
    then the plain file over ``.fz`` over ``.gz``, then the folder named first, then the newest DATE
    in the headers. Files called as in ESO's archive (``ADP....fits``) are known by ORIGFILE.

    Parameters
    ----------
    data
        Folders, searched with their sub-folders.
    data_release
        ``DR4`` or ``DR5`` (the newest of that family), or one exact release such as ``DR4.0``;
        recognised from the file names if ``None``.
    say
        Is told which of several files with one name and other content was chosen.

    Raises
    ------
    ConfigError
        If a folder does not exist, holds no KiDS file, or holds two families and ``data_release``
        does not say which.
    """
    files = [file for order, folder in enumerate(data) for file in files_below(folder, order)]
    return tiles_of(files, data, data_release, say)


def tiles_of(
    files: Sequence[SurveyFile],
    data: Sequence[Path | str],
    data_release: str | None = None,
    say: Say = lambda _: None,
) -> dict[str, TileRef]:
    """The tiles of which ``files`` in ``data`` are parts; see `find_tiles`."""
    if not files:
        raise ConfigError(
            f"no KiDS file (like KiDS_DR5.0_180.0_-0.5_r_sci.fits) below {_listed(data)}"
        )
    family = _family(files, data_release)
    exact = bool(data_release and "." in data_release and data_release != "DR4.1")
    parts: dict[str, dict[tuple[str, str], list[SurveyFile]]] = defaultdict(dict)
    for file in files:
        release = file.name.data_release
        if find_data_release(release).family != family or (exact and release != data_release):
            continue
        parts[file.name.tile].setdefault(file.part, []).append(file)
    if not parts:
        raise ConfigError(f"no file of data release {data_release} below {_listed(data)}")
    return {
        tile: _tile_ref(
            tile, family, {part: _choose(files, say) for part, files in parts[tile].items()}
        )
        for tile in sorted(parts)
    }


def expand_tiles(specs: Sequence[str], known: Iterable[str]) -> list[str]:
    """The tiles meant by ``specs``: names, globs, ``all``, or ``@file`` with a spec a line.

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
                    f"no tile matches {spec!r}; there are {len(names)} tiles, {names[0]} to"
                    f" {names[-1]}"
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
            yield from (name for name in spec.split(",") if name.strip())
            continue
        try:
            lines = Path(spec[1:]).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"tile list {spec[1:]} cannot be read: {error}") from error
        entries = [line.split("#")[0].strip() for line in lines]
        if not any(entries):
            raise ConfigError(f"tile list {spec[1:]} names no tile")
        for entry in entries:
            yield from (name for name in entry.split(",") if name.strip())


def files_below(folder: Path | str, order: int) -> Iterator[SurveyFile]:
    """The survey's files in a folder and its sub-folders; `ConfigError` if there is no folder."""
    if isinstance(folder, str):
        raise ConfigError(
            f"{folder} is far away, and files are fetched for runs alone: give a folder"
        )
    if not folder.is_dir():
        raise ConfigError(f"data folder {folder} does not exist or is not a folder")
    archived = []
    for root, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for file in sorted(files):
            path = Path(root, file)
            name = parse_file_name(path)
            if name is not None:
                yield SurveyFile(name, path, order)
            elif is_archive_name(path):
                archived.append(path)
    with ThreadPoolExecutor(READERS) as pool:
        for path, name in zip(archived, pool.map(original_name, archived), strict=True):
            if name is not None:
                yield SurveyFile(name, path, order)


def original_name(path: Path) -> FileName | None:
    """The survey's name of a file of ESO's archive; ``None`` if its headers do not tell."""
    for read in (first_header, image_header):
        try:
            original = read(path).get("ORIGFILE")
        except PhotozError:
            return None
        if isinstance(original, str):
            return parse_file_name(Path(original.strip()))
    return None


def _choose(files: Sequence[SurveyFile], say: Say) -> Path:
    """The file to read of those that are the same part of one tile."""
    best = min(file.rank for file in files)
    alike = [file for file in files if file.rank[:2] == best[:2]]
    # Of several in the folder named first the one that was written last; of equals max() keeps
    # the first.
    in_folder = [file.path for file in alike if file.rank == best]
    chosen = max(in_folder, key=written_at) if len(in_folder) > 1 else in_folder[0]
    others = [file.path for file in alike if file.path != chosen]
    different = [path for path in others if not same_content(chosen, path)]
    if different:
        dates = ", ".join(f"{path} ({written_at(path) or 'no DATE'})" for path in different)
        say(f"{chosen} ({written_at(chosen) or 'no DATE'}) is read, not {dates}, which differs")
    return chosen


def _family(files: Sequence[SurveyFile], data_release: str | None) -> str:
    if data_release:
        return find_data_release(data_release).family
    families = sorted({find_data_release(file.name.data_release).family for file in files})
    if len(families) > 1:
        raise ConfigError(
            f"the data folders hold files of {' and '.join(families)}; say which with"
            " --data-release"
        )
    return families[0]


def _tile_ref(tile: str, family: str, files: Mapping[tuple[str, str], Path]) -> TileRef:
    bands = [band for band in find_data_release(family).image_bands if (band, "sci") in files]
    images = {
        b: BandFiles(files[b, "sci"], files.get((b, "wei")), files.get((b, "msk"))) for b in bands
    }
    return TileRef(tile, family, files.get(("", "cat")), images)


def _listed(folders: Sequence[Path | str]) -> str:
    return ", ".join(str(folder) for folder in folders)


def is_simulated(ref: TileRef) -> bool:
    """Whether a header of the tile says that it is no observation (SIMULATD).

    That of its catalogue, which a driver reads anyway; coadds may lie on storage that hangs.
    """
    if ref.catalogue is not None:
        return bool(first_header(ref.catalogue).get("SIMULATD", False))
    coadds = [files.sci for files in ref.images.values()]
    return bool(coadds) and bool(image_header(coadds[0]).get("SIMULATD", False))
