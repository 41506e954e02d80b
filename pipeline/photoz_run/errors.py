"""The exceptions of photoz-run, sorted by what the operator does next.

    PhotozError           (photoz_models.errors)
    ├── BundleError, TrainingError, DocumentError   as ConfigError; raised by photoz_models
    ├── ConfigError       fix the command line, the TOML file or the model; nothing was started
    │   └── ContractError     a host's model or program is not that of the run
    ├── BadDataError      fix or replace the file named; its tile is quarantined at once
    │   └── NotFetchedError   the archive has no such file, or another one; no host is to blame
    ├── TransientError    wait; the tile is tried again, then quarantined
    │   └── HostError         another host, or start again where it has more; no tile is blamed
    │       └── GpuError          another GPU; what nvidia-smi says of this one
    └── InterruptedRunError   start the same command again; the run resumes
        └── OutputError           free space or mend permissions first

Exceptions take positional arguments only, so that they survive pickling between worker and driver.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from photoz_models.errors import PhotozError as PhotozError


class ExitCode(IntEnum):
    """What a command tells the shell."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    QUARANTINED = 3
    GATE_FAILED = 4
    INTERRUPTED = 75


class ConfigError(PhotozError):
    """Raised before any tile when a setting, an option or a path cannot be used."""

    exit_code = ExitCode.USAGE


class ContractError(ConfigError):
    """Raised before any tile when a host's model or program is not that of the run."""


class BadDataError(PhotozError):
    """Raised within a tile when a file is missing, corrupt or contradicts itself.

    Another try would not help.
    """

    exit_code = ExitCode.QUARANTINED


class NotFetchedError(BadDataError):
    """Raised within a tile when a file of it was not to be had from afar."""


class TransientError(PhotozError):
    """Raised within a tile when storage or a worker failed in a way that may pass."""

    exit_code = ExitCode.QUARANTINED


class HostError(TransientError):
    """Raised when a host lacks descriptors, memory, scratch, processes or a GPU that computes.

    No tile is to blame.
    """

    exit_code = ExitCode.INTERRUPTED


class GpuError(HostError):
    """Raised when a GPU computes nothing any more; others of its host may."""


class InterruptedRunError(PhotozError):
    """Raised when a signal or the wall-time ended the run early; finished tiles are kept."""

    exit_code = ExitCode.INTERRUPTED


class StoppedRunError(InterruptedRunError):
    """Raised when a signal ended a block; the end of the process says so."""


class OutputError(InterruptedRunError):
    """Raised when a folder cannot be written: a full disk, a quota, a missing permission."""


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """A refusal of the disk while ``where`` is written becomes an `OutputError`."""
    try:
        yield
    except OSError as error:
        lines = str(error).splitlines() or [type(error).__name__]
        within = re.search(r"\[Errno (\d+)\]", lines[0])  # astropy's errors have it in their words
        number = error.errno or (int(within[1]) if within else 0)
        reason = os.strerror(number) if number else lines[0]
        raise OutputError(
            f"{where}: cannot be written ({reason}); free space or check permissions,"
            " then start the same command again"
        ) from error


@contextmanager
def context(where: str) -> Iterator[None]:
    """Put ``where`` (a tile, file or HDU) in front of the message of a `PhotozError`."""
    try:
        yield
    except PhotozError as error:
        message = str(error)
        if where in message:
            raise
        raise type(error)(f"{where}: {message}") from error.__cause__
