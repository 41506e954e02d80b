"""A driver whose tiles come from afar asks for the workers that can have one."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from photoz_run.afar.listing import AfarSurvey, RemoteFile
from photoz_run.afar.store import Facts
from photoz_run.config import RunConfig, load_config
from photoz_run.records import TileRef
from photoz_run.run import supply
from photoz_run.run.dispatch import Dispatcher
from photoz_run.run.supply import AfarSupply, most_at_once
from photoz_run.run.window import Delivery, Window

NAMES = [f"KIDS_{number}.0_0.0" for number in range(100)]
HERE = [f"KIDS_{number}.0_-1.0" for number in range(3)]


def config(folder: Path, room: str) -> RunConfig:
    afar = {"window": room, "scratch_shared": folder, "fetchers": 0}
    settings = {"tiles": ["all"], "data": ["d"], "out": folder / "run", "afar": afar}
    return load_config(None, settings)


def survey(folder: Path) -> AfarSurvey:
    """A hundred tiles of 10 bytes afar, and three here."""
    window = Window(config(folder, "1"))
    afar = {name: window.place(name) / "a_cat.fits" for name in NAMES}
    here = {name: folder / f"{name}_cat.fits" for name in HERE}
    return AfarSurvey(
        {name: TileRef(name, "DR5", path, {}) for name, path in (afar | here).items()},
        {path: RemoteFile("http://127.0.0.1:9/a", path, Facts(10)) for path in afar.values()},
    )


@pytest.mark.parametrize(("room", "most"), [("4", 4), ("45B", 4), ("1GB", 100), ("200", 100)])
def test_no_more_tiles_are_here_at_once_than_have_room_beside_those_that_lie_here(
    tmp_path, room, most
):
    settings = config(tmp_path, room)
    assert most_at_once(survey(tmp_path), NAMES, settings) == most
    assert most_at_once(survey(tmp_path), [*NAMES, *HERE], settings) == most + 3
    assert most_at_once(AfarSurvey(survey(tmp_path).tiles, {}), NAMES, settings) == 100


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The time of the supply; ``now`` goes on as a test wants."""
    time_of_test = SimpleNamespace(now=0.0)
    monkeypatch.setattr(supply, "monotonic", lambda: time_of_test.now)
    return time_of_test


@pytest.fixture
def waiting(model, tmp_path, clock) -> Iterator[AfarSupply]:
    """The supply of a run for which others fetch, with a window of four tiles."""
    tiles = survey(tmp_path)
    afar = AfarSupply(tiles, NAMES, config(tmp_path, "4"), model.contract, 1e6, print)
    with afar.telling(lambda: None):
        yield afar


def settled(afar: AfarSupply, clock: SimpleNamespace) -> float:
    """Tiles at once, when what was before is forgotten."""
    for _ in range(3):
        afar.check()
        clock.now += supply.IDLE_SECONDS + 1
    return afar.at_once()


def test_workers_are_asked_for_the_tiles_that_are_there(waiting, tmp_path, clock):
    tasks = [object()] * 100
    dispatcher = Dispatcher(tasks, print, print, ready=waiting.ready, at_once=waiting.at_once)
    # At first as many as may come, and one at least while there is nothing.
    assert dispatcher.useful == 4
    assert settled(waiting, clock) == 0
    assert dispatcher.useful == 1
    window = Window(config(tmp_path, "4"))
    for name in [*NAMES[:3], *HERE]:
        window.place(name).mkdir(parents=True)
        window.deliver(name, Delivery(()))
    waiting.check()
    # Those of another share are not ours.
    assert dispatcher.useful == 3
    assert settled(waiting, clock) == 3


def test_no_more_workers_are_asked_for_than_tiles_are_left():
    assert Dispatcher([object()] * 7, print, print).useful == 7
    assert Dispatcher([], print, print).useful == 0
