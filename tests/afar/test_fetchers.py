"""Fetchers that wait for room let others compute, and do not wait for the dead for ever."""

import time
from pathlib import Path

import pytest

from photoz_run.afar.listing import AfarSurvey, RemoteFile
from photoz_run.afar.store import Facts
from photoz_run.config import RunConfig, load_config
from photoz_run.errors import InterruptedRunError
from photoz_run.records import TileRef
from photoz_run.run import scarcity
from photoz_run.run.fetchers import Fetchers
from photoz_run.run.window import Window

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
