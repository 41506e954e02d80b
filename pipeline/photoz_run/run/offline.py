"""Caches of libraries lie on node-local scratch.

On a compute node a home folder may be slow, full, or not writable.
"""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from photoz_run.errors import ConfigError

CACHES = {"XDG_CACHE_HOME": ".", "MPLCONFIGDIR": "matplotlib", "CUDA_CACHE_PATH": "cuda"}
"""Variable that a library reads -> folder under the cache.

They are for fontconfig and others, matplotlib, and compiled CUDA kernels.
"""


def keep_caches_local() -> Path:
    """Point the caches of libraries to a private folder on node-local scratch.

    It is called before they are imported. A folder that the user has chosen is kept if it can be
    used here. One that a job has inherited from another node may not exist on this one: then it is
    replaced.

    Returns
    -------
    The folder, ``photoz-run-UID`` where temporary files go ($TMPDIR, else /tmp).

    Raises
    ------
    ConfigError
        If there is no such folder, or it cannot be written.
    """
    try:
        cache = _private(Path(tempfile.gettempdir()) / f"photoz-run-{os.geteuid()}")
        for variable, folder in CACHES.items():
            chosen = os.environ.get(variable)
            if not (chosen and _usable(Path(chosen))):
                (cache / folder).mkdir(mode=0o700, exist_ok=True)
                os.environ[variable] = str(cache / folder)
    except OSError as error:
        reason = f"there is no folder for temporary files ({error.strerror})"
        raise ConfigError(
            f"{reason}; set TMPDIR to a folder on this machine that can be written"
        ) from error
    return cache


def _private(folder: Path) -> Path:
    """``folder``, made if need be.

    Everybody may write to /tmp: if another user made ``folder`` first, it is a new one.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if own and not status.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix=f"{folder.name}-"))


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
