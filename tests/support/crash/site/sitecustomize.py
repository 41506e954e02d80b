"""Imported by Python itself at its start, see ``support.crash``."""

import os
import signal
import sys
import time

TILE, HOW, HOLD = (os.environ.get(f"TEST_{name}") for name in ("CRASH_TILE", "CRASH_HOW", "HOLD_FOLDER"))


def disturb(event, arguments):
    name = str(arguments[0]) if event == "open" else ""
    if "_sci.fits" not in name:
        return
    if TILE and TILE in name:
        end_process()
    while HOLD and any(held in name for held in os.listdir(HOLD)):
        time.sleep(0.05)


def end_process():
    taken = []
    while HOW == "eat" and len(taken) < 40:
        taken.append(b"x" * 100_000_000)
        time.sleep(0.1)
    if HOW == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os.abort()


if TILE or HOLD:
    sys.addaudithook(disturb)
