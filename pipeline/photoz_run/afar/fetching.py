"""One file fetched and verified, and only then called by its name."""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from photoz_run.afar.listing import RemoteFile
from photoz_run.afar.store import Facts, Tick
from photoz_run.afar.transfer import Manners, NoRangesError, Transfer
from photoz_run.afar.verifying import Digests, Proof, data_sums
from photoz_run.errors import BadDataError, writing
from photoz_run.images.held import Ranges, read_held, side_file, write_held
from photoz_run.records import Fetched

PART = ".part"
RANGES = "ranges"
"""How files are verified of which only ranges come: not at all."""
NOTHING = "nothing"
"""How a file is verified of which nobody told a size, and that has no sums."""
TWICE = "fetched twice"
"""How a file is verified whose DATASUM is of other data, if it comes the same twice."""


@dataclass(frozen=True)
class Portion:
    """What is fetched of a file: all, or some ranges of its bytes."""

    file: RemoteFile
    ranges: Ranges | None = None


def fetch(portion: Portion, manners: Manners, tick: Tick = lambda _: None) -> Fetched:
    """Fetch a file to its place in the window.

    What is there already, of the right size and time, is not fetched again. A further call goes on
    where one broke off, if the server tells by ETag or time that the file is the same.

    Parameters
    ----------
    tick
        Told the bytes that came, and 0 about each second in which none come. What it raises ends
        the transfer.

    Raises
    ------
    BadDataError
        If the file is not there, has changed since the run was planned, or is another than its
        checksum says.
    TransientError
        If its server fails again and again.
    ConfigError
        If its server wants other credentials.
    OutputError
        If the window cannot be written.
    """
    file = portion.file
    with writing(file.path):
        file.path.parent.mkdir(parents=True, exist_ok=True)
    transfer = Transfer(file, manners, tick)
    if portion.ranges is not None:
        # Some servers give no ranges of a file that was written a moment ago.
        with suppress(NoRangesError):
            _some(file, portion.ranges, transfer)
            return _record(file, transfer, "", RANGES, len(portion.ranges))
    digest, verified = _whole(file, transfer)
    return _record(file, transfer, digest, verified, 1)


def _whole(file: RemoteFile, transfer: Transfer) -> tuple[str, str]:
    """Fetch all of a file; its sha256, and by what it was verified."""
    if _is_there(file) and read_held(file.path) is None:
        digests = Digests(file.checksum)
        digests.add_file(file.path)
        if verified := _verified(file, file.path, digests):
            return digests.sha256, verified
    part = _part(file)
    first = ""
    for _ in range(2):
        try:
            digests = _download(file, part, transfer)
        except BadDataError:
            # What came may be of another version.
            part.unlink(missing_ok=True)
            raise
        verified = _verified(file, part, digests)
        if not verified and not file.checksum and digests.sha256 == first:
            verified = TWICE
        if verified:
            with writing(file.path):
                side_file(file.path).unlink(missing_ok=True)
                _give_name(part, file)
            return digests.sha256, verified
        first = digests.sha256
        part.unlink()
    proof = "the checksum of the list" if file.checksum else "DATASUM in its headers"
    raise BadDataError(f"{file.shown}: fetched twice, its content is not that of {proof}")


def _verified(file: RemoteFile, path: Path, digests: Digests) -> str:
    """By what a whole file is proved to be the right one; empty if it is not."""
    if file.checksum:
        return "" if digests.differs else file.checksum.partition(":")[0]
    proof = data_sums(path)
    if proof is Proof.NONE and file.bytes < 0:
        return NOTHING
    return "" if proof is Proof.BAD else str(proof)


def _download(file: RemoteFile, part: Path, transfer: Transfer) -> Digests:
    """All bytes of a file in ``part``, after those that are there."""
    digests = Digests(file.checksum)
    goes_on = part.exists() and file.facts.certain
    with writing(part), part.open("r+b" if goes_on else "w+b") as output:
        digests.add_file(part)
        at = output.seek(0, os.SEEK_END)
        if at and at == file.bytes:
            return digests
        for place, chunk in transfer.chunks(at):
            if place != at:
                # The server knows no ranges and began anew.
                digests, at = Digests(file.checksum), place
                output.seek(place)
                output.truncate()
            output.write(chunk)
            digests.add(chunk)
            at += len(chunk)
    return digests


def _some(file: RemoteFile, ranges: Ranges, transfer: Transfer) -> None:
    """Ranges of a file, in a file of its size that has holes elsewhere."""
    if _is_there(file) and read_held(file.path) in (None, ranges):
        return
    part = _part(file, ranges)
    with writing(file.path):
        with part.open("wb") as output:
            output.truncate(file.bytes)
            for start, stop in ranges:
                for place, chunk in transfer.chunks(start, min(stop, file.bytes)):
                    output.seek(place)
                    output.write(chunk)
        transfer.confirm()
        write_held(file.path, ranges)
        _give_name(part, file)


def _is_there(file: RemoteFile) -> bool:
    try:
        status = file.path.stat()
    except FileNotFoundError:
        return False
    return Facts(status.st_size, "", status.st_mtime_ns) == Facts(
        file.bytes, "", file.facts.modified_ns
    )


def _part(file: RemoteFile, ranges: Ranges | None = None) -> Path:
    """The name of a file on its way; another version of it, or other ranges of it, go.

    So nobody takes a file with holes for the beginning of a whole one.
    """
    facts = file.facts
    identity = json.dumps([facts.bytes, facts.etag, facts.modified_ns, ranges])
    version = hashlib.sha256(identity.encode()).hexdigest()[:8]
    part = file.path.with_name(f"{file.path.name}.{version}{PART}")
    for other in file.path.parent.glob(f"{file.path.name}.*{PART}"):
        if other != part:
            other.unlink()
    return part


def _give_name(part: Path, file: RemoteFile) -> None:
    """A file is complete: it gets the time that its server told, and its name."""
    os.utime(part, ns=(file.facts.modified_ns, file.facts.modified_ns))
    part.replace(file.path)


def _record(
    file: RemoteFile, transfer: Transfer, digest: str, verified: str, pieces: int
) -> Fetched:
    moment = file.facts.modified_ns
    return Fetched(
        name=file.path.name,
        url=file.shown,
        etag=file.facts.etag,
        modified=datetime.fromtimestamp(moment / 1e9, UTC).isoformat() if moment else "",
        bytes=file.path.stat().st_size,
        digest=digest,
        verified=verified,
        moved=transfer.moved,
        pieces=pieces,
        seconds=round(transfer.seconds, 3),
    )
