"""The window: who claims room, how it is given back, and what it tells workers."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from photoz_run.catalogue.provenance import InputFile
from photoz_run.config import RunConfig, load_config
from photoz_run.errors import ConfigError
from photoz_run.run.window import Delivery, Window, read_delivery

INPUTS = (InputFile("a.fits", 3, 5),)


def config(folder: Path, out: str, room: str, **afar: object) -> RunConfig:
    settings = {"window": room, "scratch_shared": folder, **afar}
    return load_config(
        None, {"tiles": ["all"], "data": ["d"], "out": folder / out, "afar": settings}
    )


def window(folder: Path, out: str = "run", room: str = "2", **afar: object) -> Window:
    return Window(config(folder, out, room, **afar))


@pytest.mark.parametrize(("room", "most"), [("3", 3), ("30B", 3), ("35B", 3), ("1GB", 12)])
def test_runs_that_claim_room_at_once_never_get_more_than_there_is(tmp_path, room, most):
    runs = [window(tmp_path, f"run-{number}", room) for number in range(3)]
    claims = [(run, f"KIDS_{tile}.0_0.0") for tile in range(4) for run in runs]
    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(lambda claim: claim[0].claim(claim[1], 10), claims))
    assert sum(claimed) == most == sum(len(run.claimed()) for run in runs)


def test_room_is_given_back_with_the_last_file(tmp_path):
    one, other = window(tmp_path, "one", "1"), window(tmp_path, "other", "1")
    assert one.claim("KIDS_0.0_0.0", 10)
    assert one.claim("KIDS_0.0_0.0", 10)
    assert not other.claim("KIDS_0.0_0.0", 10)
    one.place("KIDS_0.0_0.0").joinpath("a.fits").write_bytes(b"abc")
    one.place("KIDS_0.0_0.0").joinpath("heads").mkdir()
    one.deliver("KIDS_0.0_0.0", Delivery(INPUTS))
    one.release("KIDS_0.0_0.0")
    assert not one.place("KIDS_0.0_0.0").exists()
    assert other.claim("KIDS_0.0_0.0", 10)


def test_room_is_claimed_while_another_run_ends(tmp_path, monkeypatch):
    one, other = window(tmp_path, "one"), window(tmp_path, "other")
    other.locks.mkdir(parents=True)
    scan = os.scandir

    def too_late(folder: str) -> object:
        if Path(folder) == other.folder:
            other.leave()
        return scan(folder)

    monkeypatch.setattr(os, "scandir", too_late)
    assert one.claim("KIDS_0.0_0.0", 10)
    assert not other.folder.exists()


def test_what_an_earlier_start_fetched_is_used_if_it_is_the_same_and_whole(tmp_path):
    run = window(tmp_path)
    assert run.claim("KIDS_0.0_0.0", 10)
    assert not run.accept("KIDS_0.0_0.0", INPUTS)
    run.deliver("KIDS_0.0_0.0", Delivery(INPUTS))
    assert run.accept("KIDS_0.0_0.0", INPUTS)
    assert not run.accept("KIDS_0.0_0.0", (InputFile("a.fits", 3, 6),))
    assert run.delivered() == set()
    run.deliver("KIDS_0.0_0.0", Delivery(INPUTS, problem="not there"))
    assert not run.accept("KIDS_0.0_0.0", INPUTS)
    assert read_delivery(run.place("KIDS_0.0_0.0")) is None


def test_the_files_of_a_quarantined_tile_are_kept_beside_the_window_if_wished(tmp_path):
    run = window(tmp_path, room="1", keep_quarantined=True)
    for quarantined in (True, False):
        assert run.claim("KIDS_0.0_0.0", 10)
        (run.place("KIDS_0.0_0.0") / "a.fits").write_bytes(b"abc")
        run.release("KIDS_0.0_0.0", quarantined)
    kept = [path for path in tmp_path.rglob("*.fits") if path.is_file()]
    assert [path.relative_to(tmp_path).parts[0] for path in kept] == ["photoz-quarantined"]
    assert run.claim("KIDS_1.0_0.0", 10)


@pytest.mark.parametrize(
    ("afar", "message"),
    [
        ({"window": "many", "scratch_shared": "s"}, "give a size such as 200GB, or a number"),
        ({"window": "0", "scratch_shared": "s"}, "a window needs room for a tile"),
        ({"window": "200GB"}, "a window needs both"),
        ({"fetchers": -1}, "fetchers"),
    ],
)
def test_a_window_that_cannot_be_is_refused(afar, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, {"tiles": ["all"], "data": ["d"], "out": "o", "afar": afar})
