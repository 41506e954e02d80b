"""A release is read again, all of it, and everything it says is proven or refuted.

Nothing is believed because ``SHA256SUMS`` says so: whoever changes a file can write that file anew.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from photoz_run.errors import ConfigError
from photoz_run.progress import StepProgress
from photoz_run.release.folder import PROVENANCE, SUMS
from photoz_run.release.proof.file_sums import FileSums, present_files

if TYPE_CHECKING:
    from photoz_run.release.proof.check import Check


def verify(
    folder: Path, progress: StepProgress, run: Path | None = None, attached: Sequence[Path] = ()
) -> "list[Check]":
    """Every check of the release in ``folder``, in the order in which they were made.

    Parameters
    ----------
    folder
        The release.
    progress
        Shows how far it is.
    run
        The run whose tiles were merged, to compare every value with; ``None`` without it.
    attached
        The tables that were attached, to compare the attached columns with.

    Raises
    ------
    ConfigError
        If there is no release, or no run, or what reads a product is not installed, or a table
        is none that was attached.
    """
    if not any((folder / name).is_file() for name in (SUMS, PROVENANCE)):
        raise ConfigError(f"{folder} is no release: it has neither {SUMS} nor {PROVENANCE}")
    names = present_files(folder)
    size = sum((folder / name).stat().st_size for name in names)
    with progress.shown(), progress.step("bytes summed up", size) as tick:
        sums = FileSums(folder, names, tick)
        # Most of a second: files are summed up meanwhile.
        from photoz_run.release.prove import prove

        return prove(folder, sums, progress, run, attached)
