"""The folder of a release: built under a hidden name, summed up, and renamed when it is whole."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from photoz_run.catalogue.on_disk import sync_and_digest, sync_folder
from photoz_run.errors import ConfigError, OutputError

PROVENANCE = "provenance.json"
SUMS = "SHA256SUMS"
SIGNATURE = f"{SUMS}.sig"
"""A detached signature, if the authors made one: ``ssh-keygen -Y sign -n file``."""


@contextmanager
def built_aside(out: Path) -> Iterator[tuple[Path, Path]]:
    """A folder that becomes ``out`` if the block ends well, and one for intermediate files.

    If the block fails, nothing stays of either.

    Raises
    ------
    ConfigError
        If ``out`` exists.
    OutputError
        If it cannot be written.
    """
    if out.exists():
        raise ConfigError(f"{out} exists already; choose another --out, or remove it first")
    aside = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(out)
        aside = Path(tempfile.mkdtemp(prefix=_prefix(out), dir=out.parent))
        with _locked(aside):
            folder, scratch = aside / "release", aside / "scratch"
            folder.mkdir()
            scratch.mkdir()
            yield folder, scratch
            os.rename(folder, out)
            sync_folder(out.parent)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error).splitlines()[0]
        raise OutputError(
            f"{out}: the release cannot be written ({reason}); free space or check permissions,"
            " then start again"
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _prefix(out: Path) -> str:
    """How the hidden folders begin in which ``out`` is built on this host."""
    return f".{out.name}.part-{os.uname().nodename}-"


def _remove_leftovers(out: Path) -> None:
    """Delete what killed releases of this name have left; one that lives holds a lock."""
    for old in out.parent.glob(f"{_prefix(out)}*"):
        with suppress(OSError), _locked(old) as free:
            if free:
                shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold a folder's lock, which ends with this process.

    False if another process holds it, or the file system has no locks.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        free = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            free = False
        yield free
    finally:
        os.close(descriptor)


def write_sums(folder: Path) -> dict[str, str]:
    """Sync every file of ``folder`` and list its sha256 in ``SHA256SUMS``, for `sha256sum -c`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {path.relative_to(folder).as_posix(): sync_and_digest(path) for path in files}
    (folder / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    sync_and_digest(folder / SUMS)
    return sums
