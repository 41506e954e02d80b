"""A file system that answers late, or never."""

import subprocess
from pathlib import Path

from support.programs import needs

SOURCE = Path(__file__).with_name("slow_stat.c")


def slow_storage(folder: Path, seconds: int = 0) -> Path:
    """The library to preload, made in ``folder``: see its source."""
    needs("cc")
    library = folder / "slow_stat.so"
    command = ["cc", "-shared", "-fPIC", f"-DSECONDS={seconds}", "-o", library, SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    return library
