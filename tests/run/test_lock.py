"""One driver for each run directory, whatever is started, killed, suspended or damaged."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from photoz_run.errors import ConfigError, InterruptedRunError
from photoz_run.run import lock, worker
from photoz_run.run.lock import RunLock, WorkState, find_holder, holders, lock_name
from support.runs import command, contents, in_process, options, start_command

ALL = (1, 1)
RACERS, ROUNDS, ROUND_SECONDS = 6, 14, 0.3
RACER = Path(__file__).parents[1] / "support" / "lock_racer.py"
NOBODY = 2**22 + 1
"""A process number that Linux does not give."""


@pytest.fixture
def quick(monkeypatch):
    """Heartbeats in a fraction of a second."""
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.1)


class Clock:
    """The time of whoever watches a lock; it passes at once, another host does ``meanwhile``."""

    def __init__(self) -> None:
        self.now = 0.0
        self.meanwhile: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(lock, "time", made)
    return made


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "out" / "locks"
    path.mkdir(parents=True)
    return path


def record(**changes) -> dict:
    """What a lock of this process says, with changes."""
    me = psutil.Process()
    started = me.create_time() - psutil.boot_time()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    fields = {
        "key": "theirs",
        "host": socket.gethostname(),
        "boot": boot,
        "pid": me.pid,
        "process_started": started,
    }
    return fields | changes


def leave(folder: Path, share: tuple[int, int] = ALL, age: float = 0.0, **changes) -> Path:
    """A lock file as another process left it, last written ``age`` seconds ago."""
    path, whole = folder / lock_name(share), folder / ".whole"
    whole.write_text(json.dumps(record(**changes)))
    os.utime(whole, (time.time() - age,) * 2)
    return whole.replace(path)


def refused(folder: Path, share: tuple[int, int] = ALL) -> str:
    with pytest.raises(ConfigError) as error, RunLock(folder, share):
        pass
    return str(error.value)


def taken(folder: Path, share: tuple[int, int] = ALL) -> bool:
    with RunLock(folder, share):
        (here,) = [holder for holder in holders(folder) if holder.path.name == lock_name(share)]
        assert here.record.key != "theirs"
        assert here.alive
    return not (folder / lock_name(share)).exists()


def test_a_second_run_is_refused_and_the_lock_of_a_killed_one_is_taken_over(
    dr4_tile, bundle, tmp_path, monkeypatch, capsys
):
    arguments = options(dr4_tile.folder, bundle, tmp_path / "out")
    path = tmp_path / "out" / "locks" / "driver.json"
    first = start_command(arguments)
    try:
        while not path.exists() and first.poll() is None:
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)
        second = command(arguments)
        assert second.returncode == 2
        (said,) = second.stderr.splitlines()
        assert said.startswith(
            f"photoz-run: {tmp_path / 'out'} is in use:"
            f" process {first.pid} on {socket.gethostname()}"
        )
        assert "(last sign of life " in said
        assert f"wait until it has ended, or delete {path} if you are sure that it is dead" in said
    finally:
        first.kill()
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
    # Nobody has asked for its exit status yet: the process is dead, its number still taken.
    assert in_process(monkeypatch, arguments) == 0
    first.communicate()
    assert "1 tile (1 DONE)" in capsys.readouterr().out
    assert len(contents(tmp_path / "out")) == 1
    assert not path.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": NOBODY},
        {"process_started": -100.0},
        {"host": "elsewhere", "age": 3600},
        {"boot": "before-the-last-reboot", "age": 3600},
        {"host": "elsewhere", "age": -3600},
    ],
    ids=[
        "dead",
        "number-given-to-another",
        "silent-elsewhere",
        "before-a-reboot",
        "silent-and-clock-ahead",
    ],
)
def test_a_stale_lock_is_taken_over(folder, clock, changes):
    leave(folder, **changes)
    assert taken(folder)


@pytest.mark.parametrize(
    "changes", [{}, {"age": 3600}, {"host": "elsewhere"}, {"boot": "another-of-this-name"}]
)
def test_a_living_lock_is_respected(folder, changes):
    path = leave(folder, **changes)
    before = path.read_bytes()
    said = refused(folder)
    assert f"process {os.getpid()} on {changes.get('host', socket.gethostname())}" in said
    assert path.read_bytes() == before
    assert sorted(folder.iterdir()) == [path]


@pytest.mark.parametrize("skew", [-3600, 3600])
def test_a_beating_lock_is_respected_though_its_host_has_another_clock(folder, clock, skew):
    beats = []

    def beat() -> None:
        if clock.now >= lock.BEAT_SECONDS * (1 + len(beats)):
            beats.append(leave(folder, host="elsewhere", age=skew))

    leave(folder, host="elsewhere", age=skew)
    clock.meanwhile = beat
    assert "elsewhere" in refused(folder)
    assert len(beats) == 1


def test_whoever_waits_for_a_silent_host_says_so(folder, clock):
    leave(folder, host="elsewhere", age=200.0)
    said = []
    with RunLock(folder, ALL, said.append):
        pass
    (words,) = said
    assert words.startswith(f"{folder / 'driver.json'}: process {os.getpid()} on elsewhere (last")
    # Making the file took a moment.
    age, left = map(int, re.findall(r" (\d+) s", words))
    assert 200 <= age < 260
    assert age + left == pytest.approx(lock.STALE_SECONDS, abs=1)
    assert words.endswith(f"(last sign of life {age} s ago); waiting up to {left} s for another")
    assert clock.now == pytest.approx(left, abs=1)


@pytest.mark.parametrize("content", [b"", b"\0" * 200, b"[1, 2]", b'{"key": "../../x", "host": 1}'])
def test_a_damaged_lock_is_respected_while_it_is_young_and_then_taken_over(folder, clock, content):
    path = folder / "driver.json"
    path.write_bytes(content)
    said = refused(folder)
    assert re.search(r"in use: an unknown process \(last sign of life \d+ s ago\) works on", said)
    assert " works on it as driver" in said
    assert holders(folder)[0].alive
    os.utime(path, (time.time() - 3600,) * 2)
    assert not holders(folder)[0].alive
    assert taken(folder)


def test_shards_of_one_division_work_side_by_side(folder):
    with RunLock(folder, (1, 3)), RunLock(folder, (3, 3)), RunLock(folder, (2, 3)):
        assert [holder.name for holder in holders(folder)] == [
            "shard-1-of-3",
            "shard-2-of-3",
            "shard-3-of-3",
        ]
        assert "works on it as shard-2-of-3" in refused(folder, (2, 3))
        assert "works on it as shard-1-of-3" in refused(folder, (1, 2))
        assert "works on it as shard-1-of-3" in refused(folder, ALL)
    assert not holders(folder)
    with RunLock(folder, ALL):
        assert "works on it as driver" in refused(folder, (1, 3))


def test_what_dead_shards_left_hinders_nobody(folder):
    for number in (1, 2, 3):
        leave(folder, (number, 3), pid=NOBODY)
    with RunLock(folder, (2, 3)):
        assert len(holders(folder)) == 3
    assert taken(folder)
    assert not list(folder.iterdir())


def test_of_many_that_start_at_once_one_holds_the_lock(tmp_path):
    """Real processes on a file system that is slow at random meet at every step of a take-over."""
    for number in range(ROUNDS):
        (tmp_path / str(number)).mkdir()
        if number % 4:
            leave(tmp_path / str(number), pid=NOBODY)
    start = time.time() + 1.5
    racers = [
        subprocess.Popen(
            [
                sys.executable,
                RACER,
                tmp_path,
                str(start),
                str(ROUNDS),
                str(ROUND_SECONDS),
                str(seed),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(RACERS)
    ]
    held = defaultdict(list)
    for racer in racers:
        for line in racer.communicate(timeout=300)[0].splitlines():
            number, begin, end = json.loads(line)
            held[number].append((begin, end))
        assert racer.returncode == 0
    assert sorted(held) == list(range(ROUNDS))
    for spans in held.values():
        assert all(span[1] <= later[0] for span, later in pairwise(sorted(spans)))


def test_a_take_over_that_was_killed_half_way_does_not_keep_the_lock(folder, clock):
    leave(folder, pid=NOBODY)
    for name, heir in (("theirs", "second"), ("second", "third")):
        (folder / f".{name}.heir").write_text(json.dumps(record(key=heir, pid=NOBODY)))
    assert taken(folder)


def test_the_heartbeat_tells_the_state_and_is_never_half_written(folder, quick):
    with RunLock(folder, ALL) as mine:
        path = folder / "driver.json"
        assert find_holder(path).record.pid == os.getpid()
        state = WorkState(
            seconds=1.0,
            finished=3,
            rows=0,
            bytes=0,
            workers=1,
            running=("KIDS_180.0_-0.5",),
            failed=(),
        )
        mine.tell(state)
        while find_holder(path).record.state != state:
            assert json.loads(path.read_text())["host"] == socket.gethostname()
        mine.check()
    assert not list(folder.iterdir())


def test_a_damaged_lock_is_mended_by_its_holder(folder, quick):
    with RunLock(folder, ALL) as mine:
        (folder / "driver.json").write_bytes(b"")
        while not (folder / "driver.json").read_bytes():
            time.sleep(0.01)
        mine.check()
        assert find_holder(folder / "driver.json").alive


@pytest.mark.parametrize("taken_over", [True, False])
def test_a_lock_that_was_taken_over_or_deleted_is_lost_and_left_alone(folder, quick, taken_over):
    with RunLock(folder, ALL) as mine:
        # A beat in this very moment may still come on top of it.
        while not mine.lost:
            if taken_over:
                leave(folder)
            else:
                (folder / "driver.json").unlink(missing_ok=True)
            time.sleep(0.01)
        with pytest.raises(
            InterruptedRunError, match=r"driver.json was taken over by another process"
        ):
            mine.check()
    assert (folder / "driver.json").exists() is taken_over


def test_a_driver_that_lost_its_lock_stops(dr4_tile, bundle, tmp_path, monkeypatch, capsys, quick):
    noticed, check = threading.Event(), RunLock.check

    def lose_the_lock(*_):
        while not noticed.wait(0.05):  # a beat in this very moment may still come on top of it
            leave(tmp_path / "out" / "locks", host="elsewhere")
        raise OSError

    def watched(mine):
        if mine.lost:
            noticed.set()
        check(mine)

    monkeypatch.setattr(worker, "process_tile", lose_the_lock)
    monkeypatch.setattr(RunLock, "check", watched)
    assert in_process(monkeypatch, options(dr4_tile.folder, bundle, tmp_path / "out")) == 75
    assert "was taken over by another process; this one stops" in capsys.readouterr().err
    assert (
        json.loads((tmp_path / "out" / "locks" / "driver.json").read_text())["host"] == "elsewhere"
    )


def test_a_folder_that_its_last_user_deletes_in_this_moment_is_made_again(folder, monkeypatch):
    lock, deleted = RunLock(folder, ALL), []
    genuine = lock._written

    def written() -> Path:
        if not deleted:
            deleted.append(folder.rmdir())
        return genuine()

    monkeypatch.setattr(lock, "_written", written)
    with lock:
        assert [holder.alive for holder in holders(folder)] == [True]
    assert deleted
