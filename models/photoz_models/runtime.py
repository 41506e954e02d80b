"""ONNX Runtime's errors, and files that it could not survive, in one line each."""

import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from photoz_models.errors import BundleError

LARGEST_FILE = 2**31 - 1
"""Bytes. The format of ONNX files (protobuf) ends here."""

CAUSE = re.compile(
    r"(?:CUDA|CUDNN|CUBLAS|CURAND)\w* failure \d+: [^;]*"
    r"|cuDNN is unavailable[^\n]*"
    r"|Failed to allocate memory[^\n]*"
)
"""What a GPU's libraries say. ONNX Runtime puts up to a page of its own C++ in front."""


class GraphRunError(BundleError):
    """Raised when the runtime cannot compute a graph for the rows that it was given."""


def read_model(path: Path) -> bytes:
    """The content of a model file.

    Raises
    ------
    BundleError
        If it is absent, no regular file (a device or a FIFO has no end), or too large.
    """
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise BundleError(f"{path}: cannot read the model: it is a folder")
        if not stat.S_ISREG(facts.st_mode):
            raise BundleError(f"{path}: cannot read the model: it is no regular file")
        if facts.st_size > LARGEST_FILE:
            raise BundleError(f"{path}: cannot read the model: an ONNX file has at most 2 GiB")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot read the model: {error.strerror}") from error
    except ValueError as error:
        # A name with a zero byte.
        raise BundleError(f"{str(path)!r}: cannot read the model: {error}") from error


@contextmanager
def one_line(what: str, kind: type[BundleError] = BundleError) -> Iterator[None]:
    """Any error of the runtime in the block becomes one of ``kind``: ``what: its first line``."""
    try:
        yield
    except _errors() as error:
        raise kind(f"{what}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind if it says nothing.

    Of an error on a GPU it is the cause alone.
    """
    cause = CAUSE.search(str(error))
    said = cause.group() if cause else str(error)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def _errors() -> tuple[type[BaseException], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    members: list[Any] = [getattr(native, name) for name in dir(native)]
    errors = [one for one in members if isinstance(one, type) and issubclass(one, Exception)]
    # Besides its own, the runtime lets errors of its Python side and of C++ through.
    return (*errors, RuntimeError, ValueError, TypeError, MemoryError, OverflowError)
