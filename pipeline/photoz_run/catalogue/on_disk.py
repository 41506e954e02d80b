"""Files on their way to the disk: their names until they are whole, and what they hold."""

import hashlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path


def beside_name(path: Path) -> Path:
    """The name of a file until it is whole; no other thread of any host uses it."""
    return path.with_name(
        f".{path.name}.{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}.part"
    )


def sync_and_digest(path: Path) -> str:
    """Bring ``path`` to the disk and return its sha256."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return file_digest(path)


def file_digest(
    path: Path, tick: Callable[[int], object] = lambda more: None, piece: int = 1 << 18
) -> str:
    """The sha256 of a file, of which ``piece`` bytes are read at once; ``tick`` is told of them."""
    digest = hashlib.sha256()
    content = memoryview(bytearray(piece))
    with path.open("rb", buffering=0) as file:
        while number := file.readinto(content):
            digest.update(content[:number])
            tick(number)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, so that a rename survives a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
