"""The files of a release: all there, none more, none changed, and every FITS HDU with the sums that its header says."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits

from photoz_run.release.folder import SUMS
from photoz_run.release.merge import Tick
from photoz_run.release.proof.check import Check, in_one_line, verdict

ALWAYS = ("README.md", "provenance.json", SUMS)
CHUNK = 2880 << 12
"""Bytes summed at once: whole FITS blocks."""
ALL_ONES = 0xFFFFFFFF


def present_files(folder: Path) -> list[str]:
    """Every file below ``folder`` but the list of sums, by its path in it."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name != SUMS)


def check_sums(folder: Path, tick: Tick) -> Iterator[Check]:
    """Compare the files with ``SHA256SUMS``; ``tick`` is told the bytes read."""
    listed, malformed = read_sums(folder)
    present = present_files(folder)
    problems = [f"{name} is missing" for name in sorted(set(listed) - set(present))]
    yield verdict("files present", malformed + problems, f"all {len(listed):,} files of {SUMS}")
    strangers = [f"{name} is not in {SUMS}" for name in sorted(set(present) - set(listed))]
    yield verdict("no other files", strangers, "none")
    changed = [
        f"{name} has another sha256"
        for name in present
        if name in listed and _sha256(folder / name, tick) != listed[name]
    ]
    yield verdict("sha256 of the files", changed, "as listed")


def read_sums(folder: Path) -> tuple[dict[str, str], list[str]]:
    """The sha256 of each file by ``SHA256SUMS``, and what is wrong with its lines."""
    listed: dict[str, str] = {}
    problems = []
    for number, line in enumerate((folder / SUMS).read_text().splitlines(), start=1):
        digest, _, name = line.partition("  ")
        path = PurePosixPath(name)
        if (
            len(digest) != 64
            or not name
            or path.is_absolute()
            or ".." in path.parts
            or name in listed
        ):
            problems.append(f"{SUMS} line {number} names no file of the release")
        else:
            listed[name] = digest
    return listed, problems


def check_products(folder: Path, made: Mapping[str, Any]) -> Check:
    """Compare the files with the products that the provenance names: each is there, and each file belongs to one."""
    paths = [str(product["path"]) for product in made["products"]]
    problems = [f"{path} is missing" for path in paths if not (folder / path).exists()]
    present = present_files(folder)
    owned = [
        name for name in present if name in ALWAYS or any(_belongs(name, path) for path in paths)
    ]
    problems += [f"{name} belongs to no product" for name in sorted(set(present) - set(owned))]
    return verdict("products", problems, ", ".join(paths))


def check_fits_sums(folder: Path, names: list[str], tick: Tick) -> Check:
    """Add up every HDU of FITS files again: CHECKSUM and DATASUM of the FITS standard 4.0, section 4.4.2.7."""
    problems = []
    for name in names:
        try:
            problems += [f"{name} {problem}" for problem in _wrong_sums(folder / name, tick)]
        except (OSError, ValueError, KeyError, TypeError, fits.VerifyError) as error:
            problems.append(f"{name} cannot be read: {in_one_line(error)}")
    return verdict("FITS checksums", problems, f"of every HDU in {', '.join(names)}")


def _wrong_sums(path: Path, tick: Tick) -> Iterator[str]:
    with fits.open(path) as hdus, path.open("rb") as file:
        for number, hdu in enumerate(hdus):
            place, header = hdu.fileinfo(), hdu.header
            if "CHECKSUM" not in header or "DATASUM" not in header:
                yield f"HDU {number} has no sums"
                continue
            head = _sum(file, place["hdrLoc"], place["datLoc"] - place["hdrLoc"])
            data = _sum(file, place["datLoc"], place["datSpan"])
            tick(place["datSpan"])
            if data != int(header["DATASUM"]):
                yield f"HDU {number}: its data do not add up to DATASUM"
            elif _folded(head + data) not in (0, ALL_ONES):
                yield f"HDU {number}: its header does not add up to CHECKSUM"


def _sum(file: BinaryIO, start: int, length: int) -> int:
    """The 32-bit ones' complement sum of big-endian words of a part of a file."""
    file.seek(start)
    total = 0
    while length > 0:
        chunk = file.read(min(CHUNK, length))
        if len(chunk) < min(CHUNK, length):
            raise ValueError("the file ends too early")
        total = _folded(total + int(np.frombuffer(chunk, ">u4").sum(dtype=np.uint64)))
        length -= len(chunk)
    return total


def _folded(total: int) -> int:
    while total > ALL_ONES:
        total = (total & ALL_ONES) + (total >> 32)
    return total


def _belongs(name: str, product: str) -> bool:
    return name == product or name.startswith(f"{product}/")


def _sha256(path: Path, tick: Tick) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    tick(path.stat().st_size)
    return digest
