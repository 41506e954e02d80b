"""``python -m bench.release [MILLIONS]``: a release of generated rows, and its proof.

Rows per second and peaks of memory are measured.

Each million rows lies in ten tiles of a square degree that overlap by 0.05 deg: one row in twenty
is a duplicate. More than 34 million lie in 340 tiles, each with more rows. Memory is that of the
command and all processes it starts, looked at five times a second. 20 million, the default, take
some 10 GB of scratch and 10 minutes.
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

MILLIONS = 20
TILES, MOST_TILES = 10, 340
"""Tiles of a million rows, and tiles that fit side by side into a circle of right ascension."""
EVERY = 0.2
MOST_MIB = 2150
PRODUCTS = {
    "FITS and Parquet": ("--formats", "fits,parquet"),
    "with HATS and a margin cache": ("--formats", "fits,parquet,hats", "--margin", "10"),
}


def measured(*arguments: str | Path) -> tuple[float, int]:
    """Seconds and peak of memory (MiB) of ``photoz`` with these arguments."""
    start = time.perf_counter()
    command = [Path(sys.executable).with_name("photoz"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, memory(psutil.Process(process.pid)))
            time.sleep(EVERY)
    if process.returncode:
        raise RuntimeError(f"photoz {arguments[0]} ended with {process.returncode}")
    return time.perf_counter() - start, peak >> 20


def memory(process: psutil.Process) -> int:
    """Resident bytes of a process and of those it has started."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def line(what: str, rows: int, seconds: float, peak: int) -> None:
    """Print one row of the table."""
    figure = f"{rows / seconds:,.0f}"
    print(f"{what:<70}{figure:>10}   {seconds:.0f} s   {peak:,} MiB (<= {MOST_MIB:,})", flush=True)


def main(millions: int = MILLIONS) -> None:
    """Generate the rows, release and prove them, print two lines for each set of products."""
    folder = Path(os.environ.get("BENCH_DATA", tempfile.gettempdir())) / "photoz-bench-release"
    run, out = folder / "run", folder / "release"
    tiles = min(TILES * millions, MOST_TILES)
    rows = millions * 1_000_000
    try:
        strip(run, tiles, rows // tiles)
        for what, options in PRODUCTS.items():
            seconds, peak = measured("release", run, "--out", out, "--quiet", *options)
            line(f"release of {millions} million rows, {what}, rows/s", rows, seconds, peak)
            seconds, peak = measured("verify", out, "--json")
            line("  its proof", rows, seconds, peak)
            shutil.rmtree(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
