"""Files on their way to the disk: their names until they are whole, and what they hold."""

import hashlib
import os
import socket
import threading
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


def file_digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, so that a rename survives a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
