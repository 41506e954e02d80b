"""Which files of a survey lie afar, and which tiles they make; of files only headers are read."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from photoz_run.afar.lists import decoded, read_list
from photoz_run.afar.opening import open_store, read_range
from photoz_run.afar.store import Entry, Facts, ServerError
from photoz_run.catalogue.provenance import InputFile, input_files
from photoz_run.errors import BadDataError, ConfigError, InterruptedRunError, TransientError
from photoz_run.places import masked
from photoz_run.records import TileRef
from photoz_run.survey.discovery import SurveyFile, files_below, original_name, tiles_of
from photoz_run.survey.names import FileName, is_archive_name, parse_file_name
from photoz_run.wording import counted

S = TypeVar("S")
T = TypeVar("T")
Say = Callable[[str], None]

ASKED = 16
"""Files that are asked about at once."""
WAITING = 1000
"""Files that wait for their question; each that waits takes 1.5 kB."""
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before a question is asked again; longer if the server says so."""
LONGEST_PAUSE = 300.0
HEADS = (64 << 10, 1 << 20)
"""Bytes of a file in which ORIGFILE is sought: the first try, and the second."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that lies afar, and its place in the window."""

    url: str = field(repr=False)
    """As it is asked for: it may hold a signature, and is never shown or written."""
    path: Path
    facts: Facts
    checksum: str = ""
    """``md5:`` or ``sha256:`` and digits, where a list has one."""

    @property
    def shown(self) -> str:
        """The address without its secrets."""
        return masked(self.url)

    @property
    def bytes(self) -> int:
        """Its size; -1 if nobody told."""
        return self.facts.bytes


@dataclass(frozen=True)
class AfarSurvey:
    """The tiles of a survey some of whose files lie afar."""

    tiles: Mapping[str, TileRef]
    remote: Mapping[Path, RemoteFile]
    """By place in the window; files that lie here are not among them."""

    def files_of(self, ref: TileRef) -> tuple[RemoteFile, ...]:
        """The files of a tile that lie afar, catalogue first."""
        return tuple(self.remote[path] for path in ref.paths() if path in self.remote)

    def inputs_of(self, ref: TileRef) -> tuple[InputFile, ...]:
        """The files of a tile as they will be once they are here."""
        return tuple(self._input(path) for path in ref.paths())

    def _input(self, path: Path) -> InputFile:
        file = self.remote.get(path)
        if file is None:
            return input_files([path])[0]
        return InputFile(path.name, file.facts.bytes, file.facts.modified_ns)


def find_afar(
    data: Sequence[str | Path],
    window: Path,
    data_release: str | None = None,
    say: Say = lambda _: None,
) -> AfarSurvey:
    """The tiles in folders, behind addresses and in lists of addresses.

    A file that lies here is not fetched, wherever else it lies. Of several afar that of the place
    named first is taken.

    Parameters
    ----------
    data
        Folders; addresses of folders and of lists; files that list addresses.
    window
        The folder below which fetched files will lie, in one folder for each tile.
    say
        Is told what is left out.

    Raises
    ------
    ConfigError
        If a place does not exist, wants credentials, or holds no file of KiDS.
    InterruptedRunError
        If a server does not answer.
    """
    files: list[SurveyFile] = []
    remote: dict[Path, RemoteFile] = {}
    for order, place in enumerate(data):
        if isinstance(place, Path) and not place.is_file():
            files += files_below(place, order)
    here = {file.name for file in files}
    listed = defaultdict[str, set[FileName]](set)
    for order, place in enumerate(data):
        if isinstance(place, Path) and not place.is_file():
            continue
        again = []
        for name, entry in _named(place, say):
            if name in here:
                continue
            if name in listed[name.compression]:
                again.append(entry)
                continue
            listed[name.compression].add(name)
            path = window / name.tile / entry.name
            remote[path] = RemoteFile(entry.url, path, entry.facts, entry.checksum)
            files.append(SurveyFile(name, path, order))
        if again:
            say(
                f"{place}: {counted(len(again), 'file')} listed before, not fetched from here; the"
                f" first is {masked(again[0].url)}"
            )
    return AfarSurvey(tiles_of(files, data, data_release, say), remote)


def looked_at(survey: AfarSurvey, tiles: Iterable[str]) -> AfarSurvey:
    """The same survey, these tiles alone, with sizes, times and ETags of their files afar.

    A file that is not there has the size -1, as one that is missing here.

    Raises
    ------
    ConfigError
        If a server wants credentials, or a list gives another size than the server.
    InterruptedRunError
        If a server does not answer.
    """
    refs = {tile: survey.tiles[tile] for tile in tiles}
    files = [file for ref in refs.values() for file in survey.files_of(ref)]
    with _reachable():
        known = {file.path: file for file in _all(_looked_at, files)}
    return AfarSurvey(refs, known)


def _looked_at(file: RemoteFile) -> RemoteFile:
    if file.facts.certain:
        return file
    try:
        facts = _patiently(lambda: open_store(file.url).look(file.url))
    except BadDataError:
        return replace(file, facts=Facts())
    if file.facts.differs(facts) == "size":
        raise ConfigError(
            f"{file.shown}: {facts.bytes:,} bytes where the list says {file.facts.bytes:,}; the"
            " list is of other files"
        )
    size = facts.bytes if facts.bytes >= 0 else file.facts.bytes
    return replace(file, facts=replace(facts, bytes=size))


def _named(place: str | Path, say: Say) -> Iterator[tuple[FileName, Entry]]:
    """The survey's files of a place afar, with what their names say."""
    with _reachable():
        entries = _entries(place)
        archived = [entry for entry in entries if is_archive_name(Path(entry.name))]
        originals = dict(zip(archived, _all(_original_name, archived), strict=True))
    strange = []
    for entry in entries:
        name = originals.get(entry) or parse_file_name(Path(entry.name))
        if name is None:
            strange.append(entry)
        else:
            yield name, entry
    if strange and isinstance(place, Path):
        say(
            f"{place}: {counted(len(strange), 'address')} of no tile of KiDS, the first is"
            f" {masked(strange[0].url)}"
        )


def _entries(place: str | Path) -> list[Entry]:
    if not isinstance(place, Path):
        return open_store(place).entries(place)
    try:
        entries = read_list(decoded(place.read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{place} is neither a folder nor a list of addresses") from error
    if not entries:
        raise ConfigError(f"{place} is no folder, and no list of addresses: it holds none")
    return entries


def _original_name(entry: Entry) -> FileName | None:
    """The survey's name of a file of ESO's archive, by its first headers."""
    for size in HEADS:
        with tempfile.NamedTemporaryFile(suffix=".fits") as head:
            head.write(_patiently(partial(read_range, entry.url, 0, size, entry.facts)))
            head.flush()
            if name := original_name(Path(head.name)):
                return name
    return None


def _all(ask: Callable[[S], T], files: Sequence[S]) -> Iterator[T]:
    """What is answered of each file, in order; many are asked about at once."""
    with ThreadPoolExecutor(ASKED) as pool:
        for start in range(0, len(files), WAITING):
            yield from pool.map(ask, files[start : start + WAITING])


def _patiently(ask: Callable[[], T]) -> T:
    """What a server answers: of thousands of questions some may meet it at a bad moment."""
    for pause in PAUSES:
        try:
            return ask()
        except ServerError as error:
            time.sleep(min(max(pause, error.wait), LONGEST_PAUSE))
    return ask()


@contextmanager
def _reachable() -> Iterator[None]:
    """A server that fails now may do its work later: the run has not begun."""
    try:
        yield
    except TransientError as error:
        raise InterruptedRunError(f"{error}; nothing was begun, try again later") from error
    except BadDataError as error:
        raise ConfigError(str(error)) from error
