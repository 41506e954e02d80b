"""``python -m bench.release``: a release of 20 million generated rows, its rows per second and its
peak of memory.

The rows lie in 200 tiles of a square degree that overlap by 0.05 deg: one in twenty is a duplicate.
Memory is that of the command and all processes it starts, looked at five times a second. Takes some
10 GB of scratch and 10 minutes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from support.made_up_runs import strip

TILES, ROWS = 200, 100_000
MILLION = 1e6
EVERY = 0.2
MOST_MIB = 2150
PRODUCTS = {
    "FITS and Parquet": ("--formats", "fits,parquet"),
    "with HATS and a margin cache": ("--formats", "fits,parquet,hats", "--margin", "10"),
}


def released(run: Path, *options: str) -> tuple[float, int]:
    """Seconds and peak of memory (MiB) of ``photoz release``."""
    out = run.with_name("release")
    start = time.perf_counter()
    command = [
        str(Path(sys.executable).with_name("photoz")),
        "release",
        str(run),
        "--out",
        str(out),
        "--quiet",
    ]
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, memory(psutil.Process(process.pid)))
            time.sleep(EVERY)
    if process.returncode:
        raise RuntimeError(f"photoz release ended with {process.returncode}")
    seconds = time.perf_counter() - start
    shutil.rmtree(out)
    return seconds, peak >> 20


def memory(process: psutil.Process) -> int:
    """Resident bytes of a process and of those it has started."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def main() -> None:
    """Generate the rows, release them, print a line for each set of products."""
    folder = Path(os.environ.get("BENCH_DATA", tempfile.gettempdir())) / "photoz-bench-release"
    try:
        strip(folder / "run", TILES, ROWS)
        rows = TILES * ROWS
        for what, options in PRODUCTS.items():
            seconds, peak = released(folder / "run", *options)
            figure = f"{rows / seconds:,.0f}"
            name = f"release of {rows / MILLION:.0f} million rows, {what}, rows/s"
            print(
                f"{name:<70}{figure:>10}   {seconds:.0f} s   {peak:,} MiB (<= {MOST_MIB:,})",
                flush=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
