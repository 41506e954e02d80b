#!/usr/bin/env bash
# ONNX Runtime's preload_dlls() tells of missing libraries on standard output alone.
#
# A function that loads the libraries of CUDA should raise, answer or log what it could not load.
# It returns None either way, ignores the severity set for its log, and prints: a program that
# writes JSON to standard output writes these lines in front of it on each machine that lacks one
# of the libraries, and cannot tell from the call whether CUDA can be used.
#
# Seen with onnxruntime-gpu 1.31.1 on 29 November 2026, on a machine without CUDA.
# Exit status 1 if nothing is printed, if it raises, or if it answers something.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.4.6 onnxruntime-gpu==1.31.1
"$folder/venv/bin/python" - <<'PY'
import contextlib
import io
import sys

import onnxruntime

onnxruntime.set_default_logger_severity(4)  # fatal errors only
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    answer = onnxruntime.preload_dlls()
lines = printed.getvalue().splitlines()
print(f"it answered {answer}, and printed {len(lines)} lines on standard output, the first:")
print(lines[0] if lines else "")
sys.exit(0 if lines and answer is None else 1)
PY
