#!/usr/bin/env bash
# Importing dask-jobqueue replaces the handler of Ctrl-C, and Ctrl-C then means success.
#
# An import should not change what a signal does. dask_jobqueue/runner.py sets a handler for SIGINT
# when it is imported, and the package imports it. The handler calls sys.exit() without a status: a
# program that is interrupted ends with 0, so that a batch script goes on as if it had finished.
#
# Seen with dask-jobqueue 0.9.0 on 28 November 2026: exit status 130 or -2 without the import, 0 with
# it. Exit status 1 if the import leaves the handler alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    dask-jobqueue==0.9.0 dask==2026.8.0 distributed==2026.8.0
"$folder/venv/bin/python" - <<'PY'
import signal
import subprocess
import sys

INTERRUPTED = "import os, signal; {}os.kill(os.getpid(), signal.SIGINT); signal.pause()"

before = signal.getsignal(signal.SIGINT)
import dask_jobqueue  # noqa: E402

changed = signal.getsignal(signal.SIGINT) is not before
print("dask-jobqueue", dask_jobqueue.__version__, " handler replaced:", changed)
statuses = {}
for words in ("", "import dask_jobqueue; "):
    command = [sys.executable, "-c", INTERRUPTED.format(words)]
    statuses[words] = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode
    print(f"{words or 'without the import':<24} exit status of an interrupted program: {statuses[words]}")
sys.exit(0 if changed and statuses[""] != 0 and statuses["import dask_jobqueue; "] == 0 else 1)
PY
