"""Fetchers that wait for room let others compute."""

import time

from photoz_run.afar.listing import AfarSurvey, RemoteFile
from photoz_run.afar.store import Facts
from photoz_run.config import load_config
from photoz_run.records import TileRef
from photoz_run.run.fetchers import Fetchers
from photoz_run.run.window import Window


def test_fetchers_without_room_ask_for_it_about_every_second(model, tmp_path, monkeypatch):
    afar = {"window": "1", "scratch_shared": tmp_path, "fetchers": 4}
    settings = {"tiles": ["all"], "data": ["d"], "out": tmp_path / "run", "afar": afar}
    config = load_config(None, settings)
    window = Window(config)
    assert window.claim("KIDS_0.0_0.0", 1)
    asked = []
    genuine = window.claim
    monkeypatch.setattr(window, "claim", lambda *words: asked.append(words) or genuine(*words))
    names = [f"KIDS_{number}.0_0.0" for number in range(1, 4)]
    files = {name: window.place(name) / "a_cat.fits" for name in names}
    survey = AfarSurvey(
        {name: TileRef(name, "DR5", path, {}) for name, path in files.items()},
        {path: RemoteFile("http://127.0.0.1:9/a", path, Facts(1)) for path in files.values()},
    )
    with Fetchers(survey, names, config, model.contract, window) as fetchers:
        time.sleep(2.5)
        fetchers.check()
        assert fetchers.left == 3
        assert fetchers.state.waited > 0.5
    assert 2 <= len(asked) <= 4
