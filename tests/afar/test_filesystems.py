"""Whatever fsspec opens: the same tiles as in a folder, and the same bytes, whole and in ranges."""

import importlib
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest

from photoz_run.afar import filesystems
from photoz_run.afar.fetching import Portion, fetch
from photoz_run.afar.filesystems import FileSystemStore
from photoz_run.afar.listing import find_afar, looked_at
from photoz_run.afar.transfer import Manners
from photoz_run.errors import BadDataError, ConfigError, TransientError
from photoz_run.survey.discovery import find_tiles
from support.tiles import make_tile

HASTY = Manners(silence=2, attempts=2, pause=0.01)


@pytest.fixture(scope="module")
def survey(tmp_path_factory) -> Path:
    """Two tiles, one of them in a folder with a blank in its name."""
    root = tmp_path_factory.mktemp("survey") / "kids"
    make_tile(root, "KIDS_180.0_-0.5", products=("sci",), number=4)
    make_tile(root / "more tiles", "KIDS_181.0_-0.5", products=("sci",), number=4, seed=2)
    return root


def files(survey: Path) -> dict[str, Path]:
    return {str(path.relative_to(survey)): path for path in survey.rglob("*") if path.is_file()}


def in_memory(survey: Path, _: Path) -> str:
    memory = fsspec.filesystem("memory")
    for name, path in files(survey).items():
        memory.pipe(f"/kids/{name}", path.read_bytes())
    return "memory://kids"


def in_zip(survey: Path, folder: Path) -> str:
    with zipfile.ZipFile(folder / "kids.zip", "w") as archive:
        for name, path in files(survey).items():
            archive.write(path, name)
    return f"zip://::file://{folder}/kids.zip"


def in_tar(survey: Path, folder: Path) -> str:
    with tarfile.open(folder / "kids.tar", "w") as archive:
        archive.add(survey, "kids")
    return f"tar://kids::file://{folder}/kids.tar"


def as_files(survey: Path, _: Path) -> str:
    return f"file://{survey}/"


class ByPath(fsspec.AbstractFileSystem):
    """As those of FTP and SFTP: its files are called by their paths, without the host."""

    protocol = "bypath"
    cachable = False

    def __init__(self, host: str, **more: object) -> None:
        super().__init__(**more)
        self._root = fsspec.filesystem("dir", path=host.replace("|", "/"), target_protocol="file")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("bypath://").partition("/")[2].strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        return {"host": path.removeprefix("bypath://").partition("/")[0]}

    def _named(self, info: dict[str, object]) -> dict[str, object]:
        # FTP writes times as 14 digits.
        moment = datetime.fromtimestamp(float(info["mtime"]), UTC)  # type: ignore[arg-type]
        told = {"size": info["size"], "type": info["type"], "modify": f"{moment:%Y%m%d%H%M%S}.5"}
        return told | {"name": f"/{str(info['name']).lstrip('/')}"}

    def ls(self, path: str, detail: bool = True, **_: object) -> list[dict[str, object]]:
        return [self._named(info) for info in self._root.ls(path.strip("/"), detail=True)]

    def info(self, path: str, **_: object) -> dict[str, object]:
        return self._named(self._root.info(path.strip("/")))

    def cat_file(self, path: str, start: int, end: int, **_: object) -> bytes:
        return bytes(self._root.cat_file(path.strip("/"), start=start, end=end))


def by_path(survey: Path, _: Path) -> str:
    fsspec.register_implementation("bypath", ByPath, clobber=True)
    return f"bypath://{str(survey).replace('/', '|')}/"


@pytest.mark.parametrize("put", [in_memory, in_zip, in_tar, as_files, by_path])
def test_tiles_behind_a_file_system_are_those_of_a_folder(
    put: Callable[[Path, Path], str], survey, tmp_path, monkeypatch
):
    monkeypatch.setattr(filesystems, "PIECE", 50_000)
    afar = find_afar([put(survey, tmp_path)], tmp_path / "window")
    here = find_tiles([survey])
    afar = looked_at(afar, here)
    for tile, ref in here.items():
        fetched = afar.tiles[tile]
        assert [path.name for path in fetched.paths()] == [path.name for path in ref.paths()]
        for file, path in zip(afar.files_of(fetched), ref.paths(), strict=True):
            record = fetch(Portion(file), HASTY)
            assert file.path.read_bytes() == path.read_bytes()
            assert record.url == file.url
            if put in (as_files, by_path):
                assert file.facts.modified_ns == int(path.stat().st_mtime) * 10**9
    ranges = ((0, 2880), (5760, 8640))
    record = fetch(Portion(replace(file, path=tmp_path / "some.fits"), ranges), HASTY)
    assert record.moved == 5760
    for start, stop in ranges:
        assert (tmp_path / "some.fits").read_bytes()[start:stop] == path.read_bytes()[start:stop]


def test_a_file_that_changes_while_ranges_come_is_refused(survey, tmp_path):
    in_memory(survey, tmp_path)
    afar = find_afar(["memory://kids"], tmp_path / "window")
    file = next(iter(looked_at(afar, afar.tiles).remote.values()))
    memory = fsspec.filesystem("memory")

    def change(number: int) -> None:
        if number:
            memory.pipe(file.url.removeprefix("memory:/"), bytes(file.bytes + 2880))

    with pytest.raises(BadDataError, match="its size has changed since the run was planned"):
        fetch(Portion(file, ((0, 2880), (5760, 8640))), HASTY, change)
    assert not file.path.exists()


class Refusing(fsspec.AbstractFileSystem):
    """Raises what a library would."""

    protocol = "refusing"
    cachable = False
    error: Exception = OSError()

    def info(self, path: str, **_: object) -> dict[str, object]:
        raise self.error


@pytest.mark.parametrize(
    ("module", "name", "words", "kind"),
    [
        ("ftplib", "error_perm", "530 Login incorrect.", ConfigError),
        ("ftplib", "error_temp", "421 Too many connections", TransientError),
        ("botocore.exceptions", "NoCredentialsError", "", ConfigError),
        ("builtins", "PermissionError", "no", ConfigError),
        ("builtins", "FileNotFoundError", "a", BadDataError),
        ("builtins", "TimeoutError", "late", TransientError),
        ("builtins", "EOFError", "", TransientError),
    ],
)
def test_errors_of_libraries_become_those_of_the_program(module, name, words, kind, monkeypatch):
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    error = getattr(importlib.import_module(module), name)
    monkeypatch.setattr(Refusing, "error", error(words) if words else error())
    with pytest.raises(kind, match="refusing://host/a"):
        FileSystemStore().look("refusing://host/a")


def test_an_unknown_protocol_is_told(tmp_path):
    with pytest.raises(ConfigError, match="nosuch://a: Protocol not known: nosuch"):
        find_afar(["nosuch://a"], tmp_path)
