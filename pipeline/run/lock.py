"""Who works on a run directory: one lock file for each driver or shard, with host, process and heartbeat.

    locks/driver.json   or   locks/shard-3-of-32.json, ...

A driver is alone; shards of the same division work side by side. A lock whose process is gone, or whose heartbeat has
stopped, is stale and is taken over. Ages are told by the clock of the file system, never by those of two hosts.
"""

import json
import os
import socket
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from pipeline.errors import ConfigError, InterruptedRunError, OutputError

BEAT_SECONDS = 15.0
STALE_SECONDS = 300.0
"""Age of a heartbeat from which its process counts as dead; a parallel file system may hang for minutes."""


@dataclass(frozen=True)
class LockRecord:
    """What a lock file says; ``state`` is what the driver tells of its progress."""

    key: str
    host: str
    pid: int
    process_started: float
    started: str
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Holder:
    """A lock that was found, with the seconds since its last heartbeat."""

    name: str
    path: Path
    record: LockRecord
    age: float

    @property
    def alive(self) -> bool:
        """Whether its process lives, as far as can be told from here."""
        if self.record.host == socket.gethostname():
            return _runs_here(self.record.pid, self.record.process_started)
        return self.age < STALE_SECONDS

    def __str__(self) -> str:
        return f"process {self.record.pid} on {self.record.host} (last sign of life {self.age:.0f} s ago)"


class RunLock:
    """Holds a run directory while the ``with`` block runs, and tells in a lock file how far the work is."""

    def __init__(self, folder: Path, share: tuple[int, int]) -> None:
        self._folder = folder
        self._share = share
        self._state: Mapping[str, Any] = {}
        self._path = folder / lock_name(share)
        self._record = _own_record()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="lock")
        self.lost = False

    def __enter__(self) -> Self:
        """Take the lock.

        Raises
        ------
        ConfigError
            If somebody else works on the directory; the line says who, and what to do.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._take()
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror})") from error
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._mine():
            self._path.unlink(missing_ok=True)

    def tell(self, state: Mapping[str, Any]) -> None:
        """What the next heartbeat says of the work."""
        self._state = state

    def check(self) -> None:
        """Stop if the lock was taken over meanwhile, as after a long sleep of this process.

        Raises
        ------
        InterruptedRunError
            If it was.
        """
        if self.lost:
            raise InterruptedRunError(f"{self._path} was taken over by another process; this one stops")

    def _take(self) -> None:
        for _ in range(10):
            self._refuse_others()
            # A file under its final name is whole: a link is made of a written one, and only if none is there.
            fresh = self._folder / f".{uuid.uuid4().hex}.lock"
            fresh.write_text(json.dumps(asdict(self._record)))
            try:
                os.link(fresh, self._path)
                break
            except FileExistsError:
                continue
            finally:
                fresh.unlink()
        else:
            raise ConfigError(f"{self._path}: several processes start on this run directory at once; start one again")
        try:
            self._refuse_others()
        except ConfigError:
            self._path.unlink(missing_ok=True)
            raise

    def _refuse_others(self) -> None:
        """Refuse living holders that exclude this one, and put stale locks away."""
        for holder in holders(self._folder):
            if holder.record.key == self._record.key:
                continue
            if not holder.alive:
                _put_away(holder)
            elif holder.path == self._path or not _side_by_side(holder.name, self._share):
                raise ConfigError(
                    f"{self._folder.parent} is in use: {holder} works on it as {holder.name}; wait until it has ended,"
                    f" or delete {holder.path} if you are sure that it is dead"
                )

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            if not self._mine():
                self.lost = True
                return
            with suppress(OSError):
                self.write()

    def write(self) -> None:
        """Give a sign of life, with what was told last."""
        beside = self._folder / f".{self._record.key}.beat"
        beside.write_text(json.dumps(asdict(self._record) | {"state": self._state}))
        os.replace(beside, self._path)

    def _mine(self) -> bool:
        record = _read(self._path)
        # A file system that fails for a while has not given the lock to somebody else.
        return self._path.exists() and (record is None or record.key == self._record.key)


def lock_name(share: tuple[int, int]) -> str:
    """The lock file of a share of the tiles; (1, 1) is all of them."""
    return "driver.json" if share[1] == 1 else f"shard-{share[0]}-of-{share[1]}.json"


def holders(folder: Path) -> list[Holder]:
    """Every lock in ``folder``; those that vanish or cannot be read meanwhile are left out."""
    found = []
    now = _clock(folder) if folder.is_dir() else 0.0
    for path in sorted(folder.glob("*.json")):
        record = _read(path)
        with suppress(OSError):
            if record is not None:
                found.append(Holder(path.stem, path, record, max(0.0, now - path.stat().st_mtime)))
    return found


def _side_by_side(name: str, share: tuple[int, int]) -> bool:
    return share[1] > 1 and name.startswith("shard-") and name.endswith(f"-of-{share[1]}")


def _put_away(stale: Holder) -> None:
    """Remove a stale lock; if somebody else replaced it in this moment, theirs is put back."""
    aside = stale.path.with_name(f".{uuid.uuid4().hex}.stale")
    with suppress(FileNotFoundError):
        os.rename(stale.path, aside)
        record = _read(aside)
        if record is not None and record.key != stale.record.key:
            with suppress(FileExistsError):
                os.link(aside, stale.path)
        aside.unlink()


def _clock(folder: Path) -> float:
    """The time by the clock that stamps files in ``folder``; by this host's where nothing may be written."""
    probe = folder / f".{uuid.uuid4().hex}.clock"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return datetime.now(UTC).timestamp()
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _own_record() -> LockRecord:
    me = psutil.Process()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return LockRecord(uuid.uuid4().hex, socket.gethostname(), me.pid, me.create_time(), now)


def _runs_here(pid: int, started: float) -> bool:
    try:
        there: float = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return abs(there - started) < 2.0


def _read(path: Path) -> LockRecord | None:
    try:
        return LockRecord(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
