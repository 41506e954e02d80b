"""One tile in a process of its own: ``python -m photoz_run.run.alone WORKER``.

A worker, the process of number WORKER, starts it for a tile with which a worker went away before.
It reads a task from standard input, and answers the rows of the tile's catalogue and then the
outcome.
"""

import ctypes
import faulthandler
import os
import pickle
import signal
import sys
from contextlib import suppress

from photoz_run.errors import PhotozError
from photoz_run.records import TileOutcome
from photoz_run.run.limits import limit_memory
from photoz_run.run.task import TileTask, rows_if_readable
from photoz_run.run.worker import model_of, run_here

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Measure the tile of the task on standard input; an error of the host is the answer then."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no orphan when the worker is killed
    if os.getppid() != int(sys.argv[1]):
        return  # it was killed before that
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # what a library prints is no answer
        task: TileTask = pickle.load(sys.stdin.buffer)
        with suppress(PhotozError):  # the tile meets it too
            limit_memory(task, model_of(task).provider)
        answer.write(pickle.dumps(rows_if_readable(task.ref)))
        answer.flush()  # should this process die, its parent knows so much
        outcome: TileOutcome | PhotozError
        try:
            outcome = run_here(task)
        except PhotozError as error:
            outcome = error
        answer.write(pickle.dumps(outcome))


if __name__ == "__main__":
    main()
