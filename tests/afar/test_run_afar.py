"""Runs over tiles that lie on a server: the catalogue of local files, through a bounded window."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.many_tiles import copies
from support.runs import in_process, options, outcome, tile_file
from support.servers import nginx
from support.tiles import make_tile

NAMES = [f"KIDS_{k}.0_-31.2" for k in range(6)]
LOCATIONS = {b"photoz-run.inputs", b"photoz-run.inputs_digest"}
"""What a tile file says of where its inputs were."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Tiny tiles in one folder."""
    top = tmp_path_factory.mktemp("afar")
    return copies(make_tile(top / "one", NAMES[0], number=8), top / "data", NAMES)


@pytest.fixture(scope="module")
def local(data, bundle) -> Path:
    """A run over the same tiles where they lie."""
    out = data.parent / "local"
    with pytest.MonkeyPatch.context() as patch:
        assert in_process(patch, options(data, bundle, out)) == 0
    return out


def afar(address: str, bundle: Path, out: Path, *more: str) -> list[str]:
    """Options of a run over tiles behind an address, with a window of two beside ``out``."""
    places = ("--window", "2", "--scratch-shared", str(out.parent / "shared"))
    return options(address, bundle, out, *places, *more)


def same_catalogues(one: Path, other: Path, names: list[str]) -> None:
    """The tables of two runs are equal, and so is all that their files say but locations."""
    for name in names:
        ours, theirs = (pq.read_table(tile_file(out, name)) for out in (one, other))
        assert ours.equals(theirs)
        told = ours.schema.metadata, theirs.schema.metadata
        assert {key for key in told[0] if told[0][key] != told[1][key]} <= LOCATIONS
        assert told[0].keys() == told[1].keys()


@contextmanager
def watched(window: Path) -> Iterator[list[tuple[int, int]]]:
    """Watch a window: tiles with files, and bytes, again and again."""
    seen: list[tuple[int, int]] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.005):
            files = [path for path in window.glob("*/*/*") if path.suffix != ".json"]
            sizes = {path: _size(path) for path in files if path.parent.name != "locks"}
            seen.append((len({path.parent for path in sizes}), sum(sizes.values())))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_a_run_over_a_server_gives_the_catalogue_of_local_files_through_its_window(
    data, local, bundle, tmp_path, monkeypatch
):
    out, shared = tmp_path / "run", tmp_path / "shared"
    with nginx(data, tmp_path / "nginx") as address, watched(shared / "photoz-window") as seen:
        assert in_process(monkeypatch, afar(f"{address}/", bundle, out)) == 0
    same_catalogues(local, out, NAMES)
    tiles, sizes = zip(*seen, strict=True)
    of_a_tile = sum(path.stat().st_size for path in data.glob("*_0.0_-31.2_*"))
    assert 1 <= max(tiles) <= 2
    assert of_a_tile / 2 < max(sizes) <= 2 * of_a_tile
    assert not [path for path in shared.rglob("*") if path.is_file()]
    catalogue = next(data.glob("*_0.0_-31.2_*_cat.fits"))
    fetched = outcome(out, NAMES[0])["fetched"]
    assert fetched[0]["url"] == f"{address}/{catalogue.name}"
    assert fetched[0]["digest"] == hashlib.sha256(catalogue.read_bytes()).hexdigest()
    inputs = json.loads(pq.read_schema(tile_file(out, NAMES[0])).metadata[b"photoz-run.inputs"])
    assert [file["sha256"] for file in inputs] == [file["digest"] for file in fetched]
