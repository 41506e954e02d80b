"""A FITS file that is read once: for its rows, its sha256, and CHECKSUM and DATASUM of its HDUs.

It is summed up in a thread of its own, a piece ahead of whoever reads its rows; what nobody has
read is read at the end.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits

from photoz_run.catalogue.fits_stream import ALL_ONES, BLOCK, added_up
from photoz_run.progress import Tick
from photoz_run.release.proof.check import UNREADABLE, Check, in_one_line, verdict
from photoz_run.release.side_by_side import one_ahead

PIECE = BLOCK << 7
"""Bytes summed up at once: whole FITS blocks that fit into the cache of a core."""
READ = PIECE << 4
"""Bytes read at once."""


@dataclass(frozen=True)
class SummedHdu:
    """Where an HDU lies, in bytes, and the sum that its header states."""

    data: int
    end: int
    datasum: str | None
    """``None`` if it states no sums."""


class FitsSums:
    """The sums of a FITS file.

    Parameters
    ----------
    path
        The file.
    tick
        Told the bytes read.
    """

    def __init__(self, path: Path, tick: Tick) -> None:
        self._hdus: list[SummedHdu] = []
        self._problems: list[str] = []
        size = path.stat().st_size
        try:
            self._hdus = _hdus(path)
        except UNREADABLE as error:
            self._problems.append(f"cannot be read: {in_one_line(error)}")
        beyond = size - self._hdus[-1].end if self._hdus else 0
        if beyond > 0:
            self._problems.append(f"has {beyond:,} bytes behind its last HDU")
        if beyond < 0:
            self._problems.append("cannot be read: the file ends too early")
            self._hdus = []
        ends = [place for hdu in self._hdus for place in (hdu.data, hdu.end)]
        self._sums = RunningSums(ends)
        self._file = path.open("rb")
        self._thread = ThreadPoolExecutor(1)
        self._pieces = one_ahead(self._summed(tick), self._thread)
        self._rest = memoryview(b"")

    def read(self, number: int) -> bytes | memoryview:
        """The next ``number`` bytes, fewer at the end; all are to be read once, in order."""
        if number <= len(self._rest):
            taken, self._rest = self._rest[:number], self._rest[number:]
            return taken
        parts = []
        while number and self._more():
            parts.append(self._rest[:number])
            self._rest = self._rest[number:]
            number -= len(parts[-1])
        return b"".join(parts)

    def sha256(self) -> str:
        """The sha256 of the whole file."""
        self._finish()
        return self._sums.sha256.hexdigest()

    def problems(self) -> list[str]:
        """What its own sums refute."""
        self._finish()
        return [*self._problems, *self._wrong_sums()]

    def close(self) -> None:
        """Close the file."""
        self._thread.shutdown(cancel_futures=True)
        self._file.close()

    def _finish(self) -> None:
        self._rest = memoryview(b"")
        for _ in self._pieces:
            pass

    def _more(self) -> bool:
        """Whether there is a byte to take, after another piece was read if there was none."""
        if not len(self._rest):
            self._rest = memoryview(next(self._pieces, b""))
        return bool(len(self._rest))

    def _summed(self, tick: Tick) -> Iterator[bytes]:
        """The pieces of the file, summed up."""
        while piece := self._file.read(READ):
            self._sums.add(piece)
            tick(len(piece))
            yield piece

    def _wrong_sums(self) -> Iterator[str]:
        sums = iter(self._sums.parts)
        for number, hdu in enumerate(self._hdus):
            header, data = next(sums), next(sums)
            if hdu.datasum is None:
                yield f"HDU {number} has no sums"
            elif not hdu.datasum.isdecimal() or data != int(hdu.datasum):
                yield f"HDU {number}: its data do not add up to DATASUM"
            elif (header + data) % ALL_ONES:
                yield f"HDU {number}: its header does not add up to CHECKSUM"


class RunningSums:
    """The sums of a file that is added piece by piece; ``ends`` are where its parts end."""

    def __init__(self, ends: Sequence[int]) -> None:
        self._ends = ends
        self._part = self._place = 0
        self.parts = [0] * len(ends)
        """The sum of each part as CHECKSUM has it."""
        self.sha256 = hashlib.sha256()

    def add(self, content: bytes) -> None:
        """Add the next bytes, as many at a time as fit into the cache."""
        whole = memoryview(content)
        for start in range(0, len(whole), PIECE):
            piece = whole[start : start + PIECE]
            self.sha256.update(piece)
            self._add_up(piece)

    def _add_up(self, content: memoryview) -> None:
        """Add bytes to the sum of the part that they belong to."""
        while len(content) and self._part < len(self._ends):
            left = self._ends[self._part] - self._place
            piece, content = content[:left], content[left:]
            self.parts[self._part] = added_up(piece, self.parts[self._part])
            self._place += len(piece)
            if len(piece) == left:
                self._part += 1


def _hdus(path: Path) -> list[SummedHdu]:
    """The HDUs of a file in its order."""
    hdus = []
    with fits.open(path) as opened:
        for hdu in opened:
            place, header = hdu.fileinfo(), hdu.header
            sums = "CHECKSUM" in header and "DATASUM" in header
            datasum = str(header["DATASUM"]).strip() if sums else None
            hdus.append(SummedHdu(place["datLoc"], place["datLoc"] + place["datSpan"], datasum))
    return hdus


def check_fits_sums(sums: Mapping[str, FitsSums]) -> Iterator[Check]:
    """Add up every HDU again: CHECKSUM and DATASUM of the FITS standard 4.0, section 4.4.2.7."""
    problems = [f"{name} {problem}" for name, file in sums.items() for problem in file.problems()]
    yield verdict("FITS checksums", problems, f"of every HDU in {', '.join(sums)}")
