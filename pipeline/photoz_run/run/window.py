"""The window: a folder on shared scratch that holds no more tiles from afar than it has room for.

    DIR/photoz-window/locks/          who claims room in this moment
    DIR/photoz-window/<run>/locks/    who fetches for a run: a driver, its shares, or photoz fetch
    DIR/photoz-window/<run>/<tile>/   claim.json, the files, and fetched.json when all are there

Room is claimed before the first byte comes, for all runs that share the folder, and given back when
the last file is gone. So the window keeps its limit whoever is killed.
"""

import hashlib
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from photoz_models.documents import Record, read_document
from photoz_models.errors import DocumentError
from photoz_run.catalogue.provenance import InputFile, inputs_digest
from photoz_run.config import RunConfig
from photoz_run.errors import ConfigError, OutputError, writing
from photoz_run.records import Fetched
from photoz_run.run.coming_and_going import files_now
from photoz_run.run.ledger import make_folder, write_document
from photoz_run.run.lock import RunLock
from photoz_run.sizes import Room

CLAIM, MARK = "claim.json", "fetched.json"
WHOLE = (1, 1)
AGAIN_SECONDS = 0.05
"""Pause while another process claims room."""


@dataclass(frozen=True)
class Claim(Record):
    """Room that a tile takes."""

    bytes: int


@dataclass(frozen=True)
class Delivery(Record):
    """What a worker is told of a tile whose files are there, or cannot be had."""

    inputs: tuple[InputFile, ...]
    """Its files as the run was planned with them."""
    fetched: tuple[Fetched, ...] = ()
    problem: str = ""
    """Why the tile cannot be measured; empty if it can."""


class Window:
    """The part of a window that belongs to one run."""

    def __init__(self, config: RunConfig) -> None:
        assert config.afar.scratch_shared is not None
        out = config.out.absolute()
        key = hashlib.sha256(str(out).encode()).hexdigest()[:8]
        self._top = config.afar.scratch_shared.absolute() / "photoz-window"
        self._keep = config.afar.keep_quarantined
        self.room: Room = config.afar.room
        self.folder = self._top / f"{out.name}-{key}"

    @property
    def locks(self) -> Path:
        """Folder of the locks of those who fetch for this run."""
        return self.folder / "locks"

    def place(self, tile: str) -> Path:
        """Where the files of a tile lie."""
        return self.folder / tile

    def claim(self, tile: str, size: int) -> bool:
        """Take room for a tile of ``size`` bytes; False if there is none now.

        A claim of an earlier start stays.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        path = self.place(tile) / CLAIM
        if path.exists():
            return True
        lock = self._alone()
        try:
            others = self.places_of_all() - {path.parent}
            if not self._has_room([_claimed(place / CLAIM) for place in others], size):
                return False
            make_folder(path.parent)
            write_document(path, Claim(size))
            return True
        finally:
            lock.__exit__()

    def places_of_all(self) -> frozenset[Path]:
        """The places of all tiles that have room, those of other runs too."""
        return frozenset(claim.parent for claim in files_now(self._top, f"*/*/{CLAIM}"))

    def holds(self, size: int) -> bool:
        """Whether a tile of ``size`` bytes has room in an empty window."""
        return self._has_room([], size)

    def most(self, sizes: Sequence[int]) -> int:
        """How many tiles have room at once, at most, of some of ``sizes`` in bytes."""
        if self.room.tiles is not None:
            return min(len(sizes), self.room.tiles)
        totals = accumulate(sorted(sizes))
        return sum(total <= (self.room.bytes or 0) for total in totals)

    def _has_room(self, claimed: Sequence[int], size: int) -> bool:
        if self.room.tiles is not None:
            return len(claimed) < self.room.tiles
        return sum(claimed) + size <= (self.room.bytes or 0)

    def _alone(self) -> RunLock:
        """The lock under which room is claimed; it is held for milliseconds."""
        while True:
            lock = RunLock(self._top / "locks", WHOLE)
            with suppress(ConfigError):
                return lock.__enter__()
            time.sleep(AGAIN_SECONDS)

    def deliver(self, tile: str, delivery: Delivery) -> None:
        """Say that all files of a tile are there, or why not."""
        write_document(self.place(tile) / MARK, delivery)

    def delivered(self) -> set[str]:
        """The tiles that can be handed out."""
        return {mark.parent.name for mark in files_now(self.folder, f"*/{MARK}")}

    def claimed(self) -> set[str]:
        """The tiles that have room."""
        return {claim.parent.name for claim in files_now(self.folder, f"*/{CLAIM}")}

    def accept(self, tile: str, inputs: Sequence[InputFile]) -> bool:
        """Whether a tile is there as an earlier start left it, with the files as they are now."""
        delivery = read_delivery(self.place(tile))
        if delivery is None:
            return False
        same = inputs_digest(delivery.inputs) == inputs_digest(inputs)
        if delivery.problem or not same:
            (self.place(tile) / MARK).unlink(missing_ok=True)
            return False
        return True

    def release(self, tile: str, quarantined: bool = False) -> None:
        """Delete the files of a tile, or put those of a quarantined one beside the window.

        The claim goes last: while there is a file, its room is taken.

        Raises
        ------
        OutputError
            If they cannot be deleted.
        """
        place = self.place(tile)
        if not place.is_dir():
            return
        with writing(place):
            (place / MARK).unlink(missing_ok=True)
            if quarantined and self._keep:
                kept = self.folder.parent.parent / "photoz-quarantined" / self.folder.name / tile
                shutil.rmtree(kept, ignore_errors=True)
                kept.parent.mkdir(parents=True, exist_ok=True)
                (place / CLAIM).unlink(missing_ok=True)
                place.rename(kept)
                return
            for entry in place.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry.name != CLAIM:
                    entry.unlink(missing_ok=True)
            (place / CLAIM).unlink(missing_ok=True)
            place.rmdir()

    def leave(self) -> None:
        """Delete the folders of a run that has nothing in the window; nobody fetches for it."""
        for folder in (self.locks, self.folder):
            with suppress(OSError):
                folder.rmdir()


def read_delivery(place: Path) -> Delivery | None:
    """What is told of the tile in a folder of the window; ``None`` if it is not complete."""
    try:
        return read_document(Delivery, place / MARK)
    except DocumentError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            return None
        raise OutputError(f"{error}; delete {place}, it is fetched again") from error


def _claimed(path: Path) -> int:
    """Room of a claim; none if it was given back in this moment."""
    try:
        return read_document(Claim, path).bytes
    except DocumentError:
        return 0
