"""What an archive asks of those who fetch, as it sees it itself: connections and bytes a second."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from photoz_run.config import load_config
from photoz_run.run.fetchers import Fetchers
from photoz_run.run.finding import find_survey, narrowed
from photoz_run.run.window import Window
from support.many_tiles import copies
from support.servers import WrongServer
from support.tiles import make_tile

NAMES = [f"KIDS_{k}.0_-31.2" for k in range(3)]
PATIENCE = 300.0
"""Seconds in which what must come comes, on a machine however busy."""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    top = tmp_path_factory.mktemp("manners")
    tile = make_tile(top / "one", NAMES[0], products=("sci",), number=4)
    data = copies(tile, top / "data", NAMES)
    return {f"/{path.name}": path.read_bytes() for path in sorted(data.iterdir())}


def fetched(server: WrongServer, folder: Path, model, **afar: object) -> float:
    """Fetch all tiles of a server; how many seconds the transfers took."""
    listed = folder / "files.txt"
    listed.write_text("".join(f"{server.url}{path}\n" for path in server.files))
    window = {"window": "9", "scratch_shared": folder / "shared"}
    settings = {"tiles": ["all"], "data": [listed], "out": folder / "run", "select": "all"}
    config = load_config(None, settings | {"afar": window | afar})
    survey = narrowed(find_survey(config), config, model.contract)
    server.most_at_once = 0
    start = time.monotonic()
    with Fetchers(survey, NAMES, config, model.contract, Window(config)) as fetchers:
        while fetchers.left:
            fetchers.check()
            time.sleep(0.02)
        assert fetchers.state.tiles == 3
    return time.monotonic() - start


@pytest.mark.parametrize("number", [1, 3])
def test_there_are_never_more_connections_than_fetchers(files, model, tmp_path, number):
    server = WrongServer()

    def others_come(_path: str) -> None:
        with server.counting:
            server.counting.wait_for(lambda: server.most_at_once >= number, PATIENCE)
        time.sleep(0.03)  # for one more, if there were one

    server.files, server.before = files, others_come
    with server.running():
        fetched(server, tmp_path, model, fetchers=number)
    assert server.most_at_once == number


def test_no_more_bytes_come_in_a_second_than_are_allowed(files, model, tmp_path):
    server = WrongServer()
    server.files = files
    read = sum(len(content) for path, content in files.items() if "_i2_" not in path)
    with server.running():
        seconds = fetched(server, tmp_path, model, fetchers=3, fetch_rate=read / 1e6)
    assert 0.7 < seconds < PATIENCE


def test_the_next_catalogue_comes_before_the_last_images(files, model, tmp_path):
    """The server gives images of a tile when it was asked for the next catalogue."""
    server = WrongServer()
    catalogues = [path for path in files if path.endswith("_cat.fits")]
    next_of = dict(pairwise(catalogues))
    in_vain = []

    def catalogue_comes(path: str) -> None:
        (mine,) = (one for one in catalogues if one.startswith(path.rpartition("_-31.2_")[0]))
        if path == mine or mine not in next_of:
            return
        with server.counting:
            if not server.counting.wait_for(lambda: asked_for(server, next_of[mine]), PATIENCE):
                in_vain.append(path)

    server.files, server.before = files, catalogue_comes
    with server.running():
        fetched(server, tmp_path, model, fetchers=2)
    assert in_vain == []


def asked_for(server: WrongServer, path: str) -> bool:
    return ("GET", path) in {(method, asked) for method, asked, _ in server.requests}
