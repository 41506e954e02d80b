"""Run every step in a process of its own and write one JSON file and one table.

A step that fails, hangs or finds no package costs its own figures alone. ``--provider cpu`` tries
the whole on a machine without a GPU. ``--set`` names a kept training set for the comparison of
redshifts; without one, a small survey is simulated.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.gpu import memory, steps

SECONDS = {
    "device": 30,
    "golden": 60,
    "rates": 90,
    "readers": 60,
    "equivalence": 120,
    "float16": 60,
    "tensorrt": 60,
    "training": 60,
    "tile": 90,
}
"""The steps in the order of their worth, and the most that each may take."""

WHOLE = 480
"""Seconds for all of them. What does not begin in time is named as left out."""


def run_step(name: str, words: list[str], limit: float) -> dict[str, Any]:
    """The figures of one step, or its last line of error."""
    command = [sys.executable, "-m", "bench.gpu.steps", name, *words]
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, problem = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {limit:.0f} s"}
    finally:
        # Its own processes, too: they would hold memory of the device while the next step measures.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    seconds = round(time.monotonic() - start, 1)
    try:
        figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        lines = problem.strip().splitlines() or [f"ended with {process.returncode}"]
        return {"error": lines[-1], "seconds": seconds}
    return {**figures, "seconds": seconds}


def rows(results: dict[str, dict[str, Any]]) -> list[str]:
    """The table: a line for each figure."""
    lines = []
    for step, figures in results.items():
        for name, value in figures.items():
            shown = f"{value:,.4g}" if isinstance(value, float) else str(value)
            lines.append(f"{step:<13}{name:<40}{shown}")
    return lines


def main() -> int:
    """0 if every step gave figures, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provider", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--set", default="")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--steps", default=",".join(SECONDS))
    asked = parser.parse_args()
    words = [asked.provider, asked.set]
    end = time.monotonic() + WHOLE
    results: dict[str, dict[str, Any]] = {}
    with memory.watched() as peak:
        for name in asked.steps.split(","):
            left = end - time.monotonic()
            results[name] = {"error": "left out: no time left"}
            if left > 5:
                results[name] = run_step(name, words, min(left, SECONDS[name]))
            # Written after each step: what was measured outlives a machine that goes away.
            asked.out.write_text(json.dumps(results, indent=1) + os.linesep)
    results["memory"] = {"peak_mib": peak.mib}
    asked.out.write_text(json.dumps(results, indent=1) + os.linesep)
    print("\n".join(rows(results)))
    return int(any("error" in figures for figures in results.values()))


if __name__ == "__main__":
    assert set(SECONDS) == set(steps.STEPS)
    sys.exit(main())
