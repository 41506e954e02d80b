"""Two who fetch and measure at once, in one window: two runs, two shares, one after the other."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from photoz_run.config import RunConfig, load_config
from photoz_run.records import Status
from photoz_run.run import supply
from photoz_run.run.finding import find_survey, narrowed
from photoz_run.run.supply import AfarSupply
from photoz_run.run.window import Window, read_delivery
from support.many_tiles import copies
from support.servers import nginx
from support.tiles import make_tile
from support.windows import watched

NAMES = [f"KIDS_{k}.0_-31.2" for k in range(6)]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    top = tmp_path_factory.mktemp("afar")
    tile = make_tile(top / "one", NAMES[0], products=("sci",), number=4)
    return copies(tile, top / "data", NAMES)


@pytest.fixture(scope="module")
def address(data, tmp_path_factory) -> Iterator[str]:
    with nginx(data, tmp_path_factory.mktemp("nginx") / "state") as url:
        yield url


def config(
    address: str, folder: Path, room: str, out: str = "run", shard: str = "1/1"
) -> RunConfig:
    afar = {"window": room, "scratch_shared": folder / "shared", "fetchers": 2}
    settings = {"tiles": ["all"], "data": [address], "out": folder / out, "shard": shard}
    return load_config(None, settings | {"select": "all", "afar": afar})


class Driver:
    """Takes tiles as they come, and says after a moment that each is done."""

    def __init__(self, settings: RunConfig, model) -> None:
        survey = narrowed(find_survey(settings), settings, model.contract)
        number, of = settings.share
        self.left = set(sorted(survey.tiles)[number - 1 :: of])
        self.said: list[str] = []
        self._window = Window(settings)
        self._supply = AfarSupply(
            survey, sorted(self.left), settings, model.contract, 60.0, self.said.append
        )

    def measure(self, most: int = 99, begins: Callable[[], bool] = lambda: True) -> None:
        """Measure all tiles, or the next ones, once it may begin."""
        end = time.monotonic() + 300
        with self._supply.telling(lambda: None):
            while self.left and most:
                assert time.monotonic() < end, self.left
                self._supply.check()
                if not begins():
                    time.sleep(0.01)
                    continue
                for tile in [tile for tile in self.left if self._supply.ready(tile)][:most]:
                    assert read_delivery(self._window.place(tile)).problem == ""
                    time.sleep(0.02)
                    self._supply.ended(SimpleNamespace(tile=tile, status=Status.DONE))
                    self.left.remove(tile)
                    most -= 1
                time.sleep(0.01)


def size_of_a_tile(data: Path) -> int:
    """What is read of one: i2 is not."""
    files = data.glob(f"*{NAMES[0].removeprefix('KIDS')}_*")
    return sum(path.stat().st_size for path in files if "_i2_" not in path.name)


@pytest.mark.parametrize("bytes_", [False, True])
@pytest.mark.parametrize(
    "others",
    [
        ({"shard": "1/2"}, {"shard": "2/2"}),
        ({"out": "one"}, {"out": "other"}, {"out": "third"}),
    ],
    ids=["shares", "runs"],
)
def test_those_who_share_a_window_keep_its_limit_and_all_get_their_tiles(
    address, data, model, tmp_path, others, bytes_
):
    limit = 2 * size_of_a_tile(data)
    room = f"{limit}B" if bytes_ else "2"
    drivers = [Driver(config(address, tmp_path, room, **other), model) for other in others]
    window = tmp_path / "shared" / "photoz-window"
    with watched(window) as seen, ThreadPoolExecutor(len(drivers)) as pool:

        def measure(driver: Driver) -> None:
            driver.measure(begins=lambda: any(now[0] == 2 and now[1] > limit / 2 for now in seen))

        list(pool.map(measure, drivers))
    tiles, sizes = zip(*seen, strict=True)
    assert max(tiles) == 2
    assert limit / 2 < max(sizes) <= limit
    assert not [path for path in (tmp_path / "shared").rglob("*") if path.is_file()]


def test_who_takes_over_the_fetching_fetches_nothing_twice(address, model, tmp_path, monkeypatch):
    """The second takes tiles that the first has fetched, until that one ends."""
    monkeypatch.setattr(supply, "TRY_SECONDS", 0.05)
    settings = config(address, tmp_path, "2")
    first, second = Driver(settings, model), Driver(settings, model)
    fetched = []
    genuine = supply.Window.deliver

    def deliver(window: Window, tile: str, delivery: object) -> None:
        fetched.append(tile)
        genuine(window, tile, delivery)

    monkeypatch.setattr(supply.Window, "deliver", deliver)
    with ThreadPoolExecutor(2) as pool:
        with first._supply.telling(lambda: None):
            while first._supply._fetchers is None:
                time.sleep(0.01)
            going = pool.submit(second.measure)
            while len(second.left) > 3:
                time.sleep(0.01)
        going.result()
    assert sorted(fetched) == NAMES
    assert second.said[0].startswith("files are fetched by another process")
    assert not [path for path in (tmp_path / "shared").rglob("*") if path.is_file()]
