"""Fetchers that wait for room let others compute, and do not wait for the dead for ever."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from photoz_run.afar.fetching import Portion
from photoz_run.afar.listing import AfarSurvey, RemoteFile
from photoz_run.afar.needs import all_other_files
from photoz_run.afar.store import Facts
from photoz_run.config import RunConfig, load_config
from photoz_run.errors import InterruptedRunError
from photoz_run.records import BandFiles, Fetched, TileRef
from photoz_run.run import scarcity
from photoz_run.run.fetchers import Fetchers
from photoz_run.run.window import Window, read_delivery

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


def test_fetchers_without_room_ask_for_it_about_every_second(model, tmp_path, monkeypatch):
    settings = config(tmp_path)
    window = Window(settings)
    assert window.claim("KIDS_0.0_0.0", 1)
    asked = []
    genuine = window.claim
    monkeypatch.setattr(window, "claim", lambda *words: asked.append(words) or genuine(*words))
    with Fetchers(survey(window), NAMES, settings, model.contract, window) as fetchers:
        time.sleep(2.5)
        fetchers.check()
        assert fetchers.left == 3
        assert fetchers.state.waited > 0.5
    assert 2 <= len(asked) <= 4


def test_a_run_without_room_beside_one_that_does_not_go_on_says_so_and_ends(
    model, tmp_path, monkeypatch
):
    monkeypatch.setattr(scarcity, "SAY_SECONDS", 0.5)
    monkeypatch.setattr(scarcity, "PATIENCE_SECONDS", 1.5)
    dead, settings = Window(config(tmp_path, "dead")), config(tmp_path)
    assert dead.claim("KIDS_0.0_0.0", 1)
    window, told = Window(settings), []
    fetchers = Fetchers(survey(window), NAMES, settings, model.contract, window, say=told.append)
    with fetchers:
        time.sleep(4.0)
        with pytest.raises(InterruptedRunError, match="the same command resumes") as ended:
            fetchers.check()
    assert f"taken by {dead.folder.name}; go on with those runs" in str(ended.value)
    assert len(told) == 1
    assert told[0].startswith(f"no room in {tmp_path}/photoz-window for ")


def test_a_run_waits_for_those_that_go_on(model, tmp_path, monkeypatch):
    monkeypatch.setattr(scarcity, "PATIENCE_SECONDS", 1.5)
    other, settings = Window(config(tmp_path, "other")), config(tmp_path)
    assert other.claim("KIDS_0.0_0.0", 1)
    window = Window(settings)
    with Fetchers(survey(window), NAMES, settings, model.contract, window) as fetchers:
        for number in range(4):
            time.sleep(1.0)
            other.release(f"KIDS_{number}.0_0.0")
            other.claim(f"KIDS_{number + 1}.0_0.0", 1)
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
            catalogue_comes.wait(30)
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
        time.sleep(0.3)
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
    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)
