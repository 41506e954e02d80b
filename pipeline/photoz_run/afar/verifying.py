"""Whether a fetched file is the one that was listed: by checksum or by DATASUM."""

import hashlib
from enum import StrEnum
from pathlib import Path

from photoz_run.checksum import data_differ
from photoz_run.reading import BLOCK, DAMAGE, data_bytes, header_bytes, outline

PIECE = 1 << 20


class Digests:
    """Checksums of a file as it passes."""

    def __init__(self, checksum: str) -> None:
        self._kind, _, self._wanted = checksum.partition(":")
        self._sums = {"sha256": hashlib.sha256()}
        if self._kind == "md5":
            self._sums["md5"] = hashlib.md5(usedforsecurity=False)

    def add(self, content: bytes) -> None:
        """The next bytes of the file."""
        for digest in self._sums.values():
            digest.update(content)

    def add_file(self, path: Path) -> None:
        """The bytes of a file that is there already."""
        with path.open("rb") as file:
            while content := file.read(PIECE):
                self.add(content)

    @property
    def sha256(self) -> str:
        """The digest that is recorded."""
        return self._sums["sha256"].hexdigest()

    @property
    def differs(self) -> bool:
        """Whether the checksum of a list says that this is another content."""
        return bool(self._wanted) and self._sums[self._kind].hexdigest() != self._wanted


class Proof(StrEnum):
    """What DATASUM says of a whole file."""

    GOOD = "DATASUM"
    BAD = "another DATASUM"
    NONE = "size"
    """Not every HDU has one, or this is no plain FITS file."""


def data_sums(path: Path) -> Proof:
    """Whether the data of every HDU are those of its DATASUM."""
    proof = Proof.NONE
    try:
        with path.open("rb") as file:
            while (header := header_bytes(file)) is not None:
                size, start = data_bytes(outline(header)), file.tell()
                if data_differ(header, file, size):
                    return Proof.BAD
                if size and b"DATASUM =" not in header:
                    return Proof.NONE
                proof = Proof.GOOD
                file.seek(start + -(-size // BLOCK) * BLOCK)
    except DAMAGE:
        return Proof.NONE
    return proof
