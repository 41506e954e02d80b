"""Who works on a run directory: a lock file with host, process and heartbeat for each.

    locks/driver.json   or   locks/shard-3-of-32.json, ...

A driver is alone; shards of the same division work side by side. A lock is stale when its process
on this machine is gone, or when it has given no sign of life for `STALE_SECONDS`. Then it is taken
over. The age of a sign is told by the clock that stamps files in the folder. Clocks of hosts
differ: an old lock of another host is watched before it is taken.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Self

import psutil
from pydantic import Field

from photoz_models.documents import Record, document_text, read_document
from photoz_models.errors import DocumentError
from photoz_run.errors import ConfigError, InterruptedRunError, OutputError
from photoz_run.run.coming_and_going import files_now

BEAT_SECONDS = 15.0
STALE_SECONDS = 300.0
"""Silence from which a process counts as dead; a parallel file system may hang for minutes."""

LOOK_SECONDS = 0.5
"""How often a lock that may be stale is looked at."""


@dataclass(frozen=True, kw_only=True)
class WorkState(Record):
    """How far the process that holds a lock has come since it started."""

    seconds: float
    finished: int
    """Tiles."""
    rows: int
    bytes: int
    """Read for the rows."""
    workers: int
    running: tuple[str, ...]
    """Tiles that are with workers."""
    failed: tuple[str, ...]
    """Tiles that wait for another try."""
    waited: float = 0.0
    """Of fetchers: the share of their time in which they waited for room."""


@dataclass(frozen=True)
class LockRecord(Record):
    """What a lock file says."""

    key: Annotated[str, Field(pattern=r"^\w+$")]
    """Of this hold alone."""
    host: str
    boot: str
    """Tells machines of one name apart, and a machine from itself before a reboot."""
    pid: int
    process_started: float
    """Seconds since the machine was booted, which no setting of the clock changes."""
    state: WorkState | None = None


UNREADABLE = LockRecord("unreadable", "", "", 0, 0.0)
"""Stands for the words of an empty or damaged lock file.

A crash of a machine leaves such a file; its holder may still live.
"""


@dataclass(frozen=True)
class Holder:
    """A lock that was found, with the seconds since its last sign of life."""

    name: str
    path: Path
    record: LockRecord
    age: float
    modified_ns: int

    @property
    def here(self) -> bool:
        """Whether its process runs, or ran, on this machine since it was booted."""
        return (self.record.host, self.record.boot) == (socket.gethostname(), _boot())

    @property
    def alive(self) -> bool:
        """Whether its process lives, as far as can be told at once."""
        return _runs_here(self.record) if self.here else self.age < STALE_SECONDS

    def same_as(self, other: "Holder | None") -> bool:
        """Whether ``other`` is the same lock, without a sign of life between."""
        if other is None:
            return False
        ours, theirs = self.record.key, other.record.key
        return (ours, self.modified_ns) == (theirs, other.modified_ns)

    def __str__(self) -> str:
        who = (
            f"process {self.record.pid} on {self.record.host}"
            if self.record.pid
            else "an unknown process"
        )
        return f"{who} (last sign of life {max(0, self.age):.0f} s ago)"


class RunLock:
    """Holds a run directory while the ``with`` block runs, and tells how far the work is.

    ``say`` is told when another's lock is watched.
    """

    def __init__(
        self, folder: Path, share: tuple[int, int], say: Callable[[str], None] = lambda _: None
    ) -> None:
        self._folder = folder
        self._share = share
        self._say = say
        self._state: WorkState | None = None
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
            try:
                self._begin()
            except FileNotFoundError:
                self._begin()  # its last user has deleted the folder in this moment
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror})") from error
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._mine():
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def tell(self, state: WorkState) -> None:
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
            raise InterruptedRunError(
                f"{self._path} was taken over by another process; this one stops"
            )

    def write(self) -> None:
        """Give a sign of life, with what was told last."""
        os.replace(self._written(), self._path)

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._take()

    def _take(self) -> None:
        self._refuse_others()
        if holder := self._claim(self._path):
            raise self._in_use(holder)
        try:
            self._refuse_others()
        except ConfigError:
            self._path.unlink(missing_ok=True)
            raise

    def _refuse_others(self) -> None:
        """Refuse those at work who exclude this share, and put the locks of dead ones away."""
        for path in files_now(self._folder, "*.json"):
            if path == self._path or _side_by_side(path.stem, self._share):
                continue
            while holder := find_holder(path):
                if self._lives(holder):
                    raise self._in_use(holder)
                self._inherit(holder, path.unlink)

    def _claim(self, path: Path) -> Holder | None:
        """Make ``path`` the lock of this process; if a living one has it, that one.

        No reader ever finds the file absent or half written: a whole file is linked to a free name,
        or replaces a stale one.
        """
        while not self._link(path):
            holder = find_holder(path)
            if holder is None:  # given up in this moment
                continue
            if self._lives(holder):
                return holder
            if self._inherit(holder, lambda: os.replace(self._written(), path)):
                return None
        return None

    def _inherit(self, holder: Holder, act: Callable[[], None]) -> bool:
        """Do ``act`` to a stale lock as its only heir.

        ``False`` if another process inherits it, or if it has changed.
        """
        heir = holder.path.with_name(f".{holder.record.key}.heir")
        if self._claim(heir):
            time.sleep(LOOK_SECONDS / 10)
            return False
        try:
            unchanged = holder.same_as(find_holder(holder.path))
            if unchanged:
                act()
            return unchanged
        finally:
            heir.unlink(missing_ok=True)

    def _lives(self, holder: Holder) -> bool:
        """Whether the process of a lock lives; one of another host is watched if need be.

        A fresh sign is believed. An old one is not: the clocks of two hosts may differ by its age.
        """
        two_beats = 2 * BEAT_SECONDS
        if holder.here or abs(holder.age) < two_beats:
            return holder.alive
        seconds = max(two_beats, STALE_SECONDS - max(0.0, holder.age))
        self._say(f"{holder.path}: {holder}; waiting up to {seconds:.0f} s for another")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(LOOK_SECONDS, two_beats))
            now = find_holder(holder.path)
            if now is None:
                return False
            if now.modified_ns != holder.modified_ns:
                return True
        return False

    def _in_use(self, holder: Holder) -> ConfigError:
        return ConfigError(
            f"{self._folder.parent} is in use: {holder} works on it as {holder.name};"
            f" wait until it has ended, or delete {holder.path} if you are sure that it is dead"
        )

    def _link(self, path: Path) -> bool:
        """Put this lock under the name ``path`` if there is none."""
        fresh = self._written()
        try:
            os.link(fresh, path)
        except FileExistsError:
            return False
        finally:
            fresh.unlink()
        return True

    def _written(self) -> Path:
        """A new file with this lock, under a name that means nothing."""
        path = self._folder / f".{uuid.uuid4().hex}.lock"
        path.write_text(document_text(replace(self._record, state=self._state)))
        return path

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            if not self._mine():
                self.lost = True
                return
            with suppress(OSError):
                self.write()

    def _mine(self) -> bool:
        record = _read(self._path)
        # A file system that fails for a while has not given the lock to somebody else.
        return record is UNREADABLE or (record is not None and record.key == self._record.key)


def lock_name(share: tuple[int, int]) -> str:
    """The lock file of a share of the tiles; (1, 1) is all of them."""
    return "driver.json" if share[1] == 1 else f"shard-{share[0]}-of-{share[1]}.json"


def holders(folder: Path) -> list[Holder]:
    """Every lock in ``folder``; those that vanish meanwhile are left out."""
    paths = files_now(folder, "*.json")
    if not paths:
        return []
    now = _clock(folder)
    locks = [find_holder(path, now) for path in paths]
    return [lock for lock in locks if lock is not None]


def find_holder(path: Path, now: float | None = None) -> Holder | None:
    """The lock at ``path``, ``None`` if there is none.

    ``now`` is the time by the clock of its folder.
    """
    record = _read(path)
    try:
        modified_ns = path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    if record is None:
        return None
    age = (now or _clock(path.parent)) - modified_ns / 1e9
    return Holder(path.stem, path, record, age, modified_ns)


def _side_by_side(name: str, share: tuple[int, int]) -> bool:
    return share[1] > 1 and name.startswith("shard-") and name.endswith(f"-of-{share[1]}")


def _clock(folder: Path) -> float:
    """The time by the clock that stamps files in ``folder``.

    Where nothing may be written it is this host's.
    """
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
    return LockRecord(
        uuid.uuid4().hex, socket.gethostname(), _boot(), me.pid, _seconds_after_boot(me)
    )


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _seconds_after_boot(process: psutil.Process) -> float:
    return float(process.create_time() - psutil.boot_time())


def _runs_here(record: LockRecord) -> bool:
    try:
        process = psutil.Process(record.pid)
        # A zombie was killed, and its parent has not noticed yet.
        same = abs(_seconds_after_boot(process) - record.process_started) < 2.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _read(path: Path) -> LockRecord | None:
    """What a lock file says: `UNREADABLE` if nothing, ``None`` if there is no file."""
    try:
        return read_document(LockRecord, path)
    except DocumentError as error:
        return None if isinstance(error.__cause__, FileNotFoundError) else UNREADABLE
