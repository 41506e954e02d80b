"""Fetchers that wait for room let others compute, and do not wait for the dead for ever."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from photoz_run.afar.fetching import Portion
from photoz_run.afar.listing import AfarSurvey, RemoteFile
from photoz_run.afar.needs import all_other_files
from photoz_run.afar.store import Facts
from photoz_run.config import RunConfig, load_config
from photoz_run.errors import InterruptedRunError
from photoz_run.records import BandFiles, Fetched, TileRef
from photoz_run.run import fetchers as fetchers_module
from photoz_run.run import scarcity
from photoz_run.run.fetchers import Fetchers
from photoz_run.run.window import Window, read_delivery

PATIENCE = 300.0
"""Seconds in which what must come comes, on a machine however busy."""
NAMES = [f"KIDS_{number}.0_0.0" for number in range(1, 4)]


def config(folder: Path, out: str = "run") -> RunConfig:
    """A run whose window has room for one tile."""
    afar = {"window": "1", "scratch_shared": folder, "fetchers": 4}
    settings = {"tiles": ["all"], "data": ["d"], "out": folder / out, "afar": afar}
    return load_config(None, settings)


def survey(window: Window) -> AfarSurvey:
    """Tiles of which nothing can be had."""
    files = {name: window.place(name) / "a_cat.fits" for name in NAMES}
    return AfarSurvey(
        {name: TileRef(name, "DR5", path, {}) for name, path in files.items()},
        {path: RemoteFile("http://127.0.0.1:9/a", path, Facts(1)) for path in files.values()},
    )


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The time by which others keep room; ``now`` goes on as a test wants. Looks are frequent."""
    time_of_test = SimpleNamespace(now=0.0)
    monkeypatch.setattr(scarcity, "monotonic", lambda: time_of_test.now)
    monkeypatch.setattr(fetchers_module, "LOOK_SECONDS", 0.05)
    return time_of_test


def test_fetchers_without_room_ask_for_it_about_every_second(model, tmp_path, monkeypatch):
    settings = config(tmp_path)
    window = Window(settings)
    assert window.claim("KIDS_0.0_0.0", 1)
    asked = asks_for_room(window, monkeypatch)
    start = time.monotonic()
    with Fetchers(survey(window), NAMES, settings, model.contract, window) as fetchers:
        wait(lambda: len(asked) >= 3 and fetchers.state.waited > 0.5)
        fetchers.check()
        assert fetchers.left == 3
    assert len(asked) <= 2 + time.monotonic() - start


def asks_for_room(window: Window, monkeypatch) -> list[str]:
    """The tiles for which room is asked for, as it is."""
    asked: list[str] = []
    genuine = window.claim

    def claim(tile: str, size: int) -> bool:
        asked.append(tile)
        return genuine(tile, size)

    monkeypatch.setattr(window, "claim", claim)
    return asked


def look_again(asked: list[str]) -> None:
    """Wait until fetchers have asked for room, and have thought about the answer."""
    before = len(asked)
    wait(lambda: len(asked) >= before + 2)


def test_a_run_without_room_beside_one_that_does_not_go_on_says_so_and_ends(
    model, tmp_path, monkeypatch, clock
):
    dead, settings = Window(config(tmp_path, "dead")), config(tmp_path)
    assert dead.claim("KIDS_0.0_0.0", 1)
    window, told = Window(settings), []
    asked = asks_for_room(window, monkeypatch)
    fetchers = Fetchers(survey(window), NAMES, settings, model.contract, window, say=told.append)
    with fetchers:
        for clock.now in (0.0, 59.0, 61.0, 3599.0):
            look_again(asked)
            fetchers.check()
            assert len(told) == (clock.now > 60)
        clock.now = 3601.0
        with pytest.raises(InterruptedRunError, match="the same command resumes") as ended:
            wait(fetchers.check)
    assert f"taken by {dead.folder.name}; go on with those runs" in str(ended.value)
    assert len(told) == 1
    assert told[0].startswith(f"no room in {tmp_path}/photoz-window for ")


def test_a_run_waits_for_those_that_go_on(model, tmp_path, monkeypatch, clock):
    other, settings = Window(config(tmp_path, "other")), config(tmp_path)
    assert other.claim("KIDS_0.0_0.0", 1)
    window = Window(settings)
    asked = asks_for_room(window, monkeypatch)
    with Fetchers(survey(window), NAMES, settings, model.contract, window) as fetchers:
        for number in range(4):
            look_again(asked)
            clock.now += 3500.0
            # Its next tile has come, and nobody was quicker to take the room.
            other.place(f"KIDS_{number}.0_0.0").rename(other.place(f"KIDS_{number + 1}.0_0.0"))
            fetchers.check()
        look_again(asked)
        fetchers.check()


@pytest.mark.parametrize("whole", [True, False])
def test_images_come_before_their_catalogue_if_all_tiles_so_far_needed_all(
    whole, model, tmp_path, monkeypatch
):
    afar = {"window": "2", "scratch_shared": tmp_path, "fetchers": 4}
    data = {"tiles": ["all"], "data": ["d"], "out": tmp_path / "run", "afar": afar}
    window = Window(load_config(None, data))
    refs = {name: tile_afar(window.place(name)) for name in NAMES[:2]}
    files = [path for ref in refs.values() for path in ref.paths()]
    remote = {path: RemoteFile("http://127.0.0.1:9/a", path, Facts(1)) for path in files}
    begun, catalogue_comes, told = [], threading.Event(), []

    def fetch(portion: Portion, *_: object) -> Fetched:
        begun.append(portion.file.path)
        if portion.file.path == refs[NAMES[1]].catalogue:
            catalogue_comes.wait(PATIENCE)
        return Fetched(portion.file.path.name, "", "", "", 1, "", "size", 1, 1, 0.0)

    def planned(listed: AfarSurvey, ref: TileRef, *_: object) -> tuple[Portion, ...]:
        return all_other_files(listed, ref) if whole else ()

    monkeypatch.setattr("photoz_run.run.fetchers.fetch", fetch)
    monkeypatch.setattr("photoz_run.run.fetchers.other_files", planned)
    survey = AfarSurvey(refs, remote)
    settings = load_config(None, data)
    with Fetchers(survey, NAMES[:2], settings, model.contract, window, told=told.append) as both:
        wait(lambda: told == NAMES[:1])
        early = set(refs[NAMES[1]].paths()[1:])
        if whole:
            wait(lambda: early <= set(begun))
        time.sleep(0.3)  # for what should not come
        assert early.isdisjoint(begun) or whole
        assert told == NAMES[:1]
        catalogue_comes.set()
        wait(lambda: not both.left)
        both.check()
    assert sorted(begun) == sorted(set(begun))
    assert set(begun) == (set(files) if whole else {ref.catalogue for ref in refs.values()})
    delivery = read_delivery(window.place(NAMES[1]))
    assert delivery is not None
    assert len(delivery.fetched) == (3 if whole else 1)


def tile_afar(folder: Path) -> TileRef:
    """A tile with a catalogue and two images."""
    images = {band: BandFiles(folder / f"{band}_sci.fits") for band in "gr"}
    return TileRef(folder.name, "DR5", folder / "a_cat.fits", images)


def wait(happened: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)
