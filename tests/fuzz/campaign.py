"""Many corruptions through the real path of a tile, in processes that are watched."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parents[1]
"""The source root of the processes."""
HANGS = 300.0
"""Seconds without a word from a process that works on one corruption."""


@dataclass(frozen=True)
class Invisible:
    """Corruptions that give a valid other file: a row of the table in docs/data.md."""

    products: str
    kinds: str
    files: str
    """``all``, or ``without sums``: those that have no CHECKSUM and DATASUM."""
    reason: str

    def holds(self, result: dict) -> bool:
        """Whether a corruption is of this kind."""
        return (
            result["product"] in self.products.split(", ")
            and result["kind"] in self.kinds.split(", ")
            and (self.files == "all" or result["form"] == "bare")
        )

    def as_row(self) -> str:
        """The row of the table."""
        return f"| {self.products} | {self.kinds} | {self.files} | {self.reason} |"


INVISIBLE = (
    Invisible(
        "sci, wei",
        "bits, scramble",
        "all",
        "numbers for numbers; the sum of an image is known only when all of it is read",
    ),
    Invisible("msk", "bits, scramble, fill", "all", "flags that are gone, or in other places"),
    Invisible(
        "sci, msk",
        "value, letter, card",
        "without sums",
        "DMAG, a scale or a WCS that is off by less than the checks see",
    ),
    Invisible(
        "cat",
        "bits, scramble, fill, value, letter, card",
        "without sums",
        "magnitudes, or the name of a column, for others",
    ),
)


def campaign(folder: Path, first: int, last: int, seconds: float) -> Iterator[dict]:
    """How each seed ended, until time is over; two processes work where there are cores."""
    end = time.monotonic() + seconds
    count = min(2, len(os.sched_getaffinity(0)))
    middle = [first + (last - first) * k // count for k in range(count + 1)]
    watched = [_Watched(folder, middle[k], middle[k + 1]) for k in range(count)]
    try:
        while time.monotonic() < end and (running := [one for one in watched if not one.over]):
            for one in running:
                yield from one.look()
    finally:
        for one in watched:
            one.stop()


class _Watched:
    """A process that works through seeds, begun again behind one on which it died or hung."""

    def __init__(self, folder: Path, first: int, last: int) -> None:
        self._folder, self._next, self._last = folder, first, last
        self._heard = time.monotonic()
        self._start()

    @property
    def over(self) -> bool:
        return self._next >= self._last

    def look(self) -> Iterator[dict]:
        """What it has said since the last look."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 0.2)
        line = self._process.stdout.readline() if ready else ""
        if line:
            self._heard = time.monotonic()
            said = json.loads(line)
            if "end" in said:
                self._next = said["seed"] + 1
                yield said
        elif ready or time.monotonic() - self._heard > HANGS:
            end = "dead" if ready else "hang"
            self.stop()
            yield {
                "seed": self._next,
                "end": end,
                "words": "",
                "product": "",
                "kind": "",
                "form": "",
            }
            self._next += 1
            self._start()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _start(self) -> None:
        command = [sys.executable, "-m", "fuzz.worker", str(self._folder)]
        paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [*command, str(self._next), str(self._last)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            text=True,
            bufsize=1,
        )
        self._heard = time.monotonic()


def is_bad(result: dict) -> bool:
    """Whether a corruption ended as none may."""
    if result["end"] == "moved":
        return not any(known.holds(result) for known in INVISIBLE)
    return result["end"] not in ("good", "said", "refused")
