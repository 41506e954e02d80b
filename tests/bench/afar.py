"""``python -m bench.afar``: 40 tiles through a window of 4, beside fetching and measuring alone.

An nginx on loopback gives each connection so many bytes a second that fetching takes about as long
as measuring. Memory is that of ``photoz fetch``. With small tiles the start of a run counts, with
larger ones the tiles do.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.release import memory
from support.many_tiles import copies
from support.servers import nginx
from support.tiles import make_tile

TILES, WINDOW, FETCHERS = 40, 4, 4
SOURCES = (300, 600)
"""Of a tile; one of DR5 has 100,000."""
EVERY = 0.1
MOST, MOST_MIB = 1.1, 191
"""200 MB."""


class Cost(NamedTuple):
    """What a command took."""

    seconds: float
    cpu: float
    """Seconds of all its processes; a busy machine changes these little."""
    memory: int
    """MiB, at most."""


def timed(command: str, *options: object) -> Cost:
    """The cost of a command."""
    words = [str(Path(sys.executable).with_name(command)), *map(str, options)]
    start, cpu, peak = time.perf_counter(), spent(), 0
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, memory(psutil.Process(process.pid)))
            time.sleep(EVERY)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Cost(time.perf_counter() - start, spent() - cpu, peak >> 20)


def spent() -> float:
    """Seconds that ended children of this process have computed."""
    times = os.times()
    return times.children_user + times.children_system


def settings(folder: Path, data: str, out: str, window: int) -> Path:
    """The settings of a run, in a file."""
    path = folder / f"{out}.toml"
    path.write_text(
        f"""
        tiles = ["all"]
        data = ["{data}"]
        out = "{folder / out}"
        select = "all"
        provider = "cpu"
        workers = 1
        [afar]
        window = "{window}"
        scratch_shared = "{folder / "shared"}"
        fetchers = {FETCHERS}
        """
    )
    return path


def compare(sources: int, folder: Path) -> None:
    """Make tiles, fetch them, measure them, do both, and print a line for each figure."""
    names = [f"KIDS_{k}.0_-31.2" for k in range(TILES)]
    tile = make_tile(folder / "one", names[0], number=sources)
    data = copies(tile, folder / "data", names)
    measuring = timed("photoz-run", "--config", settings(folder, str(data), "here", WINDOW))
    size = sum(path.stat().st_size for path in data.iterdir())
    rate = int(size / measuring.seconds / FETCHERS)
    with nginx(data, folder / "nginx", f"limit_rate {rate};") as address:
        file = settings(folder, f"{address}/", "alone", TILES)
        fetching = timed("photoz", "fetch", folder / "alone", "--config", file)
        shutil.rmtree(folder / "shared")
        file = settings(folder, f"{address}/", "both", WINDOW)
        both = timed("photoz-run", "--config", file)
    name = f"{TILES} tiles of {sources:,} sources from afar, window of {WINDOW}: time / larger part"
    figure = f"{both.seconds / max(fetching.seconds, measuring.seconds):.2f}"
    print(f"{name:<78}{figure:>6}   <= {MOST}")
    for what, cost in (("both", both), ("fetching", fetching), ("measuring", measuring)):
        print(f"  {what}: {cost.seconds:.1f} s, {cost.cpu:.1f} s of CPU")
    print(f"  memory of photoz fetch: {fetching.memory:,} MiB (<= {MOST_MIB})", flush=True)


def main() -> None:
    """The figures of small tiles, and of larger ones."""
    for sources in SOURCES:
        folder = Path(os.environ.get("BENCH_DATA", tempfile.gettempdir())) / "photoz-bench-afar"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            compare(sources, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
