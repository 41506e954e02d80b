"""Workers of this machine are forks of one process that has imported what they need.

It does so while the run is planned, and its pages are shared. Commands import this module early, so
it imports little.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import Any

from photoz_run.interrupts import children_undisturbed
from photoz_run.run.machine import ENOUGH_FILES, allow_open_files

PRELOADED = ["photoz_run.run.preloaded"]

ENVIRONMENT = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""One thread for libraries, in the server too: of a process only the thread that forks goes on.

Dask sets most of these for its workers, but libraries read them when they are loaded.
"""


@contextmanager
def fork_server() -> Iterator[None]:
    """Start Python's fork server, which imports meanwhile; it ends with the block.

    Its socket lies in TMPDIR, whose path may be too long for one. Then workers are new processes.
    """
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("forkserver", force=True)
    multiprocessing.set_forkserver_preload(PRELOADED)
    unset = ENVIRONMENT.keys() - os.environ.keys()
    os.environ.update({name: ENVIRONMENT[name] for name in unset})
    allow_open_files(ENOUGH_FILES)
    try:
        try:
            with children_undisturbed():
                forkserver.ensure_running()
        except OSError:
            multiprocessing.set_start_method("spawn", force=True)
        yield
    finally:
        _end()
        for name in unset:
            os.environ.pop(name, None)
        multiprocessing.set_start_method(before, force=True)


def _end() -> None:
    """Kill the server: by itself it ends only when it has imported everything.

    A worker could tell its number, but there may be none yet; Python tells it to nobody.
    """
    server: Any = forkserver._forkserver
    if server._forkserver_pid is not None:
        os.kill(server._forkserver_pid, signal.SIGKILL)
    server._stop()
