"""Imported by Python itself at its start, see ``support.crash``."""

import errno
import os
import signal
import sys
import time
from fnmatch import fnmatchcase
from importlib.util import find_spec

DEATHS = {"abort": signal.SIGABRT, "kill": signal.SIGKILL}
ERRORS = {"missing": errno.ENOENT, "stumble": errno.EIO, "poor": errno.EMFILE}


def trouble(path):
    """What ``TEST_CRASHES`` has in store for a file, now that it is opened."""
    for line in os.environ.get("TEST_CRASHES", "").split():
        pattern, _, how = line.partition("=")
        if fnmatchcase(os.path.basename(path), pattern):
            happen(how, path)
    hold = os.environ.get("TEST_HOLD_FOLDER")
    while hold and "_sci.fits" in path and any(held in path for held in os.listdir(hold)):
        time.sleep(0.05)


def happen(how, path):
    alone = "photoz_run.run.alone" in sys.orig_argv
    if how in ERRORS:
        raise OSError(ERRORS[how], os.strerror(ERRORS[how]), path)
    if how == "hang":
        time.sleep(3600)
    elif how == "slow":
        time.sleep(0.3)
    elif how == "eat":
        taken = []
        while len(taken) < 40:
            taken.append(b"x" * 100_000_000)
            time.sleep(0.1)
        os.abort()
    elif how == "term" and alone:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    else:
        os.kill(os.getpid(), DEATHS.get(how, signal.SIGABRT))


def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        trouble(arguments[0])


class Fitsio:
    """Lets ``fitsio``, which opens files by itself, ask too."""

    @staticmethod
    def find_spec(name, path, target=None):
        if name != "fitsio.fitslib":
            return None
        sys.meta_path.remove(Fitsio)
        spec = find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            opened = module.FITS.__init__

            def open_it(self, filename, *arguments, **options):
                trouble(str(filename))
                opened(self, filename, *arguments, **options)

            module.FITS.__init__ = open_it

        spec.loader.exec_module = exec_module
        return spec


sys.addaudithook(watch)
sys.meta_path.insert(0, Fitsio)
