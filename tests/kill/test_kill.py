"""Random kills and stops of every process of a run: it always ends, and the bytes are the same.

Each hit is aimed at one kind of process: the driver, a worker at work, one in its first seconds,
the process of a suspect, which is there only after a worker was hit, or another program that the
run asks, as git. The seed is printed; ``KILL_SEED`` sets it, ``KILLS`` how many there are.
"""

import math
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from support import crash
from support.many_tiles import copies
from support.runs import COMMAND, contents, options
from support.tiles import make_tile

TILES = tuple(f"KIDS_{k}.0_-31.2" for k in range(8))
PATIENCE = 600.0
"""Seconds in which a disturbed run must end, on a busy machine too."""
DASK = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "15s"}
"""A stopped worker is lost after so long, in place of five minutes."""
SETTINGS = "attempts = 100\nworker_wait = 2\ntile_minutes = 0.5\n"
"""Whoever kills at random may kill the same tile often; a stopped process of a suspect is ended."""
SLOW = crash.SITE | crash.crashes({"*_sci.fits": "slow"})
"""Tiles take a second or two, so that they are handed out, and suspected, one by one."""
AIM_SECONDS = 30.0
"""So long a hit waits for a process of its kind."""
PAUSE = 1.0
"""Mean seconds between a hit and the next aim."""
GIT = """\
#!/bin/sh
sleep 0.3
exec {git} "$@"
"""
"""It lives for long enough to be hit."""
WEIGHTS = {"young worker": 3, "worker": 4, "lone": 5, "fork server": 1}
"""How often each kind is aimed at, beside the driver; without that an episode is over.

Python's tracker of semaphores is not hit: what its successor says of those it does not know is
Python's.
"""
MOST = 8
"""Hits in an episode: starting a run anew takes longer than hitting it."""
EARLY, LATE, OTHER = 0.2, 0.4, 0.4
"""Shares of the episodes in which the driver alone is hit, soon; the driver is the last to be hit;
and git is the first, which is asked at the start.
"""
ANY = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM)
ENDED = (0, 75, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)


def kind_of(process: psutil.Process, driver: int, out: Path) -> str:
    """What a process of a run is. A worker is young until it has begun its first tile."""
    if process.pid == driver:
        return "driver"
    words = " ".join(process.cmdline())
    if "forkserver" in words and process.ppid() == driver:
        return "fork server"
    if "forkserver" in words:
        logs = "".join(path.read_text() for path in out.glob("logs/*/*.log"))
        return "worker" if f":{process.pid} " in logs else "young worker"
    for mark, kind in (("run.alone", "lone"), ("tracker", "tracker")):
        if mark in words:
            return kind
    return "other"


@dataclass
class Disturber:
    """Starts a run again and again, and hits its processes, until enough of them were hit."""

    programs: Path
    """Folder of programs that are slower than usual."""
    out: Path
    arguments: list[str]
    undisturbed: dict[str, bytes]
    random: random.Random
    signals: tuple[signal.Signals, ...] = ANY
    hits: Counter[str] = field(default_factory=Counter)
    catalogues: int = 0
    stopped: dict[psutil.Process, float] = field(default_factory=dict)
    """When they may go on."""

    def go_on(self, number: int) -> None:
        """Episode after episode until ``number`` processes were hit, then one in peace."""
        while self.hits.total() < number:
            self.episode(self.aims(min(number - self.hits.total(), self.random.randint(1, MOST))))
            print(f"{self.hits.total()} hits, {self.catalogues} catalogues", flush=True)
        self.episode([])

    def aims(self, number: int) -> list[str]:
        """The kinds to hit in an episode, in order."""
        if self.random.random() < EARLY:
            return ["driver"]
        kinds = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=number)
        if kinds[0] == "lone" and number > 1:
            kinds[0] = "worker"  # that makes the first suspect
        if self.random.random() < LATE:
            kinds[-1] = "driver"
        if self.random.random() < OTHER:
            kinds.insert(0, "other")
        return kinds

    def episode(self, aims: list[str]) -> None:
        """One start of the run, hit as aimed; it must end, and leave nobody behind."""
        driver = subprocess.Popen(
            [COMMAND, *self.arguments],
            env=os.environ | DASK | SLOW | {"PATH": f"{self.programs}:{os.environ['PATH']}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.stopped.clear()
        end = time.monotonic() + PATIENCE
        aim_at = time.monotonic() + self.random.uniform(0.3, 3.0)
        try:
            while driver.poll() is None:
                assert time.monotonic() < end, f"the run does not end, {dict(self.hits)}"
                waited = time.monotonic() - aim_at
                if aims and waited > 0 and (self.hit(driver.pid, aims[0]) or waited > AIM_SECONDS):
                    aims = aims[1:]
                    aim_at = time.monotonic() + self.random.expovariate(1 / PAUSE)
                self.wake(driver.pid)
                time.sleep(0.02)
            for process in self.stopped:
                if process.is_running():
                    process.resume()
            said = driver.communicate(timeout=PATIENCE)[1]
            self.check(driver.returncode, said)
            wait(lambda: not session(driver.pid), "no process outlives the driver")
        finally:
            for process in session(driver.pid):
                process.kill()

    def hit(self, driver: int, kind: str) -> bool:
        """Kill, end or stop one process of a kind; whether there was one."""
        targets = list(self.targets(driver, kind))
        if not targets:
            return False
        process = self.random.choice(targets)
        number = self.random.choice(self.signals)
        if kind == "fork server":  # nobody goes on for one that was stopped
            number = signal.SIGKILL
        try:
            process.send_signal(number)
        except psutil.Error:
            return False
        if number == signal.SIGSTOP:
            self.stopped[process] = time.monotonic() + self.random.uniform(0.5, 5.0)
        self.hits[f"{kind} {number.name}"] += 1
        return True

    def targets(self, driver: int, kind: str) -> Iterator[psutil.Process]:
        """The living processes of a kind."""
        for process in session(driver):
            with suppress(psutil.Error):
                if kind_of(process, driver, self.out) == kind:
                    yield process

    def wake(self, driver: int) -> None:
        """Let a stopped driver go on after a while, and half of the others."""
        for process, when in self.stopped.items():
            if time.monotonic() > when and process.is_running():
                self.stopped[process] = math.inf
                if process.pid == driver or self.random.random() < 0.5:
                    process.resume()

    def check(self, status: int, said: str) -> None:
        """One line, the right exit status, and the right bytes if the run is done."""
        assert status in ENDED, said
        if status != -signal.SIGKILL:  # else a child that was just starting may say what it misses
            assert "Traceback" not in said, said
        if status == 0:
            assert contents(self.out) == self.undisturbed
            assert not list((self.out / "locks").glob("*.json"))
            assert not list((self.out / "quarantine").rglob("*.json"))
            self.catalogues += 1
            shutil.rmtree(self.out)


def wait(happened: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s until {what}"
        time.sleep(0.05)


def session(leader: int) -> list[psutil.Process]:
    """The living processes of a session."""
    processes = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getsid(process.pid) == leader and process.info["status"] != psutil.STATUS_ZOMBIE:
                processes.append(process)
        except ProcessLookupError:
            continue
    return processes


@pytest.fixture(scope="module")
def disturber(bundle, tmp_path_factory) -> Callable[[int], Disturber]:
    folder = tmp_path_factory.mktemp("kill")
    tile = make_tile(folder / "one", TILES[0], number=8, products=("sci",))
    data = copies(tile, folder / "data", TILES)
    (folder / "settings.toml").write_text(SETTINGS)

    def arguments(out: Path) -> list[str]:
        settings = ("--formats", "parquet,fits", "--config", str(folder / "settings.toml"))
        return options(data, bundle, out, *settings, "--workers", "2")

    git = folder / "programs" / "git"
    git.parent.mkdir()
    git.write_text(GIT.format(git=shutil.which("git")))
    git.chmod(0o755)
    subprocess.run([COMMAND, *arguments(folder / "undisturbed")], check=True, capture_output=True)
    undisturbed = contents(folder / "undisturbed")

    def new(seed: int) -> Disturber:
        out = folder / "out"
        return Disturber(git.parent, out, arguments(out), undisturbed, random.Random(seed))

    return new


@pytest.mark.timeout(7200)
def test_a_few_kills_change_nothing(disturber):
    few = disturber(17)
    few.signals = (signal.SIGKILL,)
    # A run may be over before the last of them is there.
    for _ in range(10):
        few.episode(["young worker", "fork server", "worker", "lone", "driver"])
        if {what.rpartition(" ")[0] for what in few.hits} >= set(WEIGHTS):
            break
    else:
        pytest.fail(f"not all kinds were hit: {dict(few.hits)}")
    few.episode([])
    assert few.catalogues >= 1


@pytest.mark.kill
@pytest.mark.timeout(7200)
def test_many_kills_and_stops_change_nothing(disturber, capsys):
    seed = int(os.environ.get("KILL_SEED", time.time_ns() % 10**6))
    number = int(os.environ.get("KILLS", "100"))
    many = disturber(seed)
    with capsys.disabled():
        print(f"\nseed {seed}")
        many.go_on(number)
        print(f"{many.hits.total()} hits, {many.catalogues} catalogues without a differing byte")
        for what, times in sorted(many.hits.items()):
            print(f"  {what:<24}{times:4d}")
    hit = {what.rpartition(" ")[0] for what in many.hits}
    assert number < 100 or hit == {"driver", "other", *WEIGHTS}
