"""A FITS file that is read once: for its rows, its sha256, and CHECKSUM and DATASUM of its HDUs.

Whoever reads its `stream` sums it up on the way; what nobody has read is read at the end.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits

from photoz_run.catalogue.fits_stream import ALL_ONES, BLOCK, added_up
from photoz_run.progress import Tick
from photoz_run.release.proof.check import UNREADABLE, Check, in_one_line, verdict

PIECE = BLOCK << 7
"""Bytes summed up at once, or a multiple of them: whole FITS blocks, small for a core's cache."""


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
        self._file = _SummedFile(path, ends, tick)
        self.stream = io.BufferedReader(self._file, PIECE)
        """Its bytes, to be read once, in order."""

    def sha256(self) -> str:
        """The sha256 of the whole file."""
        self._finish()
        return self._file.sha256.hexdigest()

    def problems(self) -> list[str]:
        """What its own sums refute."""
        self._finish()
        return [*self._problems, *self._wrong_sums()]

    def close(self) -> None:
        """Close the file."""
        self.stream.close()

    def _finish(self) -> None:
        while self.stream.read(PIECE):
            pass

    def _wrong_sums(self) -> Iterator[str]:
        sums = iter(self._file.sums)
        for number, hdu in enumerate(self._hdus):
            header, data = next(sums), next(sums)
            if hdu.datasum is None:
                yield f"HDU {number} has no sums"
            elif not hdu.datasum.isdecimal() or data != int(hdu.datasum):
                yield f"HDU {number}: its data do not add up to DATASUM"
            elif (header + data) % ALL_ONES:
                yield f"HDU {number}: its header does not add up to CHECKSUM"


class _SummedFile(io.RawIOBase):
    """A file that adds up its parts while it is read; ``ends`` are where they end, in order."""

    def __init__(self, path: Path, ends: Sequence[int], tick: Tick) -> None:
        self._file = path.open("rb", buffering=0)
        self._ends = ends
        self._tick = tick
        self._part = self._place = 0
        self.sums = [0] * len(ends)
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``, less than all of it at the end of the file alone."""
        length = 0
        while length < len(buffer) and (more := self._file.readinto(buffer[length:])):
            length += more
        content = buffer[:length]
        self.sha256.update(content)
        self._add(content)
        self._tick(length)
        return length

    def _add(self, content: memoryview) -> None:
        """Add bytes to the sum of the part that they belong to."""
        while len(content) and self._part < len(self._ends):
            left = self._ends[self._part] - self._place
            piece, content = content[:left], content[left:]
            self.sums[self._part] = added_up(piece, self.sums[self._part])
            self._place += len(piece)
            if len(piece) == left:
                self._part += 1

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


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
