"""Whatever happens to a run directory, the next start makes the catalogue of an undisturbed run."""

import io
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import psutil
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from photoz_run.catalogue.on_disk import beside_name
from photoz_run.records import Status, tile_group
from photoz_run.run.ledger import RunDirectory
from photoz_run.run.lock import RunLock, lock_name
from support.photoz import photoz
from support.runs import COMMAND, contents, in_process, options, outcome, tile_file
from support.tiles import make_tile

TILES = ("KIDS_0.0_-31.2", "KIDS_180.0_-0.5", "KIDS_181.0_-0.5", "KIDS_182.0_-0.5")
NOBODY = 2**22 + 1
"""A process number that Linux does not give."""
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
PATIENCE = 300.0
"""Seconds in which what must come comes, on a machine however busy."""


@dataclass(frozen=True)
class Run:
    """A run directory and the options that start or resume it."""

    out: Path
    arguments: tuple[str, ...]

    def start(self, *more: str) -> int:
        """Let it come to its end in this process; its exit code."""
        with pytest.MonkeyPatch.context() as patch:
            return in_process(patch, [*self.arguments, *more])


@dataclass(frozen=True)
class Damage:
    """Something that happens to a file of a tile at ``share`` of its length, if there is one."""

    what: str
    tile: str
    share: float

    def do(self, run: Run) -> None:
        DAMAGES[self.what](run.out, self.tile, self.share)


@dataclass(frozen=True)
class Share:
    """One shard of two comes to its end."""

    number: int

    def do(self, run: Run) -> None:
        assert run.start("--shard", f"{self.number}/2") == 0


@dataclass(frozen=True)
class Whole:
    """A run comes to its end."""

    def do(self, run: Run) -> None:
        assert run.start() == 0


@dataclass(frozen=True)
class Killed:
    """A run of real processes gets a signal ``seconds`` after it has changed ``changes`` files."""

    number: signal.Signals
    changes: int
    seconds: float
    workers: int

    def do(self, run: Run) -> None:
        before = stamps(run.out)
        process = Popen(
            [COMMAND, *run.arguments, "--workers", str(self.workers)],
            stdout=DEVNULL,
            stderr=PIPE,
            start_new_session=True,
        )
        try:
            while (
                process.poll() is None
                and len(stamps(run.out).items() - before.items()) < self.changes
            ):
                time.sleep(0.002)
            time.sleep(self.seconds)
            if process.poll() is None:
                # The batch system kills all of them; who asks for an end asks the driver.
                (os.killpg if self.number == signal.SIGKILL else os.kill)(process.pid, self.number)
            said = process.communicate(timeout=PATIENCE)[1].decode()
            # A signal that comes when the work is done ends a process as it ends any other.
            assert process.returncode in (0, 75, -self.number), said
            if self.number != signal.SIGKILL:  # else a child may say what it misses
                assert "Traceback" not in said
            _, left = psutil.wait_procs(session(process.pid), PATIENCE)
            assert not left
        finally:
            for member in session(process.pid):
                member.kill()


def stamps(out: Path) -> dict[Path, int]:
    """Every file of a run directory and when it was changed."""
    times = {}
    for folder, _, names in os.walk(out):
        for name in names:
            try:
                times[Path(folder, name)] = os.stat(Path(folder, name)).st_mtime_ns
            except FileNotFoundError:
                continue
    return times


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


def flip(path: Path, share: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 1
    path.write_bytes(bytes(content))


def truncate(path: Path, share: float) -> None:
    os.truncate(path, int(share * (path.stat().st_size - len("}\n"))))


def delete(path: Path, share: float) -> None:
    path.unlink()


def to_a_file(
    act: Callable[[Path, float], None], suffix: str, out: Path, tile: str, share: float
) -> None:
    path = RunDirectory(out).log(tile) if suffix == ".log" else tile_file(out, tile, suffix)
    if path.exists():
        act(path, share)


def quarantine_with_half_a_record(out: Path, tile: str, share: float) -> None:
    """The tile was quarantined, and a part of the record is left."""
    directory = RunDirectory(out)
    if outcome := directory.usable_outcomes().by_tile.get(tile):
        directory.write_outcome(
            replace(outcome, status=Status.QUARANTINED, files={}, error="BadDataError")
        )
        truncate(directory.quarantine / tile_group(tile) / f"{tile}.json", share)


def leave_half_a_file(out: Path, tile: str, share: float) -> None:
    """Under the very name that the next writer in this process takes."""
    for path in (tile_file(out, tile), tile_file(out, tile, ".json")):
        if path.parent.exists():
            beside_name(path).write_bytes(b"half" * int(share * 100))


def leave_a_stale_lock(out: Path, tile: str, share: float) -> None:
    """That of a process of this machine which is gone: the whole run's, or a shard's."""
    number_of = ((1, 1), (1, 2), (2, 2))[int(share * 2.99)]
    if (out / "manifest.json").exists():
        with RunLock(out / "locks", number_of):
            path = out / "locks" / lock_name(number_of)
            record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"pid": NOBODY}))


TO_FILES = {
    f"{act.__name__} {suffix}": partial(to_a_file, act, suffix)
    for act in (flip, truncate, delete)
    for suffix in (".parquet", ".fits", ".json", ".log")
    if (act, suffix) != (flip, ".json")  # a mark has no digest of its own
}
DAMAGES: dict[str, Callable[[Path, str, float], None]] = TO_FILES | {
    damage.__name__: damage
    for damage in (quarantine_with_half_a_record, leave_half_a_file, leave_a_stale_lock)
}

damage = st.builds(
    Damage, st.sampled_from(sorted(DAMAGES)), st.sampled_from(TILES), st.floats(0, 1)
)
killed = st.builds(
    Killed, st.sampled_from(SIGNALS), st.integers(1, 10), st.floats(0, 0.3), st.just(1)
)
start = st.one_of(st.builds(Whole), st.builds(Share, st.sampled_from((1, 2))), killed)
part = st.tuples(st.lists(damage, max_size=4), start).map(lambda both: [*both[0], both[1]])
histories = st.lists(part, min_size=2, max_size=5).map(
    lambda parts: [action for part in parts for action in part]
)
"""Processes are dear: between two starts several files are damaged."""


def damages(*what: str) -> list[Damage]:
    """One on each tile, so that none hides what another would have shown."""
    return [Damage(damage, tile, 0.3) for damage, tile in zip(what, TILES, strict=True)]


EACH = [
    Killed(signal.SIGKILL, changes=8, seconds=0.0, workers=2),
    Killed(signal.SIGTERM, changes=6, seconds=0.0, workers=1),
    Share(2),
    *damages("flip .fits", "truncate .parquet", "delete .fits", "leave_a_stale_lock"),
    Share(1),
    Whole(),
    *damages(
        "delete .json", "truncate .json", "quarantine_with_half_a_record", "leave_half_a_file"
    ),
    Whole(),
    *damages("flip .parquet", "truncate .fits", "delete .parquet", "delete .log"),
]
"""Everything that can befall a run."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for seed, name in enumerate(TILES):
        make_tile(folder, name, number=8, seed=seed, products=("sci",))
    return folder


@pytest.fixture(scope="module")
def new_run(data, bundle, tmp_path_factory) -> Callable[[], Run]:
    def make() -> Run:
        out = tmp_path_factory.mktemp("run") / "out"
        return Run(out, tuple(options(data, bundle, out, "--formats", "parquet,fits")))

    return make


@pytest.fixture(scope="module")
def undisturbed(new_run) -> dict[str, str]:
    run = new_run()
    assert run.start() == 0
    return catalogue(run.out)


@settings(max_examples=4)
@example(history=EACH)
@given(history=histories)
def test_after_any_history_the_next_start_makes_the_same_catalogue(history, new_run, undisturbed):
    run = new_run()
    for action in history:
        action.do(run)
    assert run.start() == 0
    assert catalogue(run.out) == undisturbed
    assert not list((run.out / "locks").glob("*.json"))
    assert counted(run.out) == {"DONE": len(TILES)}
    assert {outcome(run.out, tile)["status"] for tile in TILES} == {"DONE"}


def catalogue(out: Path) -> dict[str, str]:
    """The sha256 of each tile file, without those that a killed process left half written."""
    whole = {name: content for name, content in contents(out).items() if not name.startswith(".")}
    return {name: sha256(content).hexdigest() for name, content in whole.items()}


def counted(out: Path) -> dict[str, int]:
    """The tiles as ``photoz status --json`` counts them."""
    with redirect_stdout(io.StringIO()) as said:
        assert photoz("status", out, "--json") == 0
    return {
        status: number for status, number in json.loads(said.getvalue())["tiles"].items() if number
    }
