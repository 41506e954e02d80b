"""A file system that does not answer."""

import subprocess
from pathlib import Path

from support.programs import needs

SOURCE = Path(__file__).with_name("slow_stat.c")


def slow_storage(folder: Path) -> Path:
    """The library to preload, made in ``folder``: see its source."""
    needs("cc")
    library = folder / "slow_stat.so"
    command = ["cc", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    return library
