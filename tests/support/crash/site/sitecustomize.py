"""Imported by Python itself at its start, see ``support.crash``."""

import os
import signal
import sys


def end_process(event, arguments):
    name = str(arguments[0]) if event == "open" else ""
    if os.environ["TEST_CRASH_TILE"] in name and "_sci.fits" in name:
        if os.environ["TEST_CRASH_HOW"] == "abort":
            os.abort()
        os.kill(os.getpid(), signal.SIGKILL)


if "TEST_CRASH_TILE" in os.environ:
    sys.addaudithook(end_process)
