"""Files in folders that other processes make and delete meanwhile."""

from glob import glob
from pathlib import Path


def files_now(folder: Path, pattern: str) -> list[Path]:
    """What fits ``pattern`` below ``folder``, sorted.

    A folder that goes in this moment holds nothing; `Path.glob` of Python 3.11 raises there.
    """
    return sorted(folder / name for name in glob(pattern, root_dir=folder, include_hidden=True))
