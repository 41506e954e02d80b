"""``make bench``: speed and memory on a full-size tile, as ratios within one run; nothing is
asserted.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import afar, apply, cold, network, packed, release
from bench.cases import LOOPED
from bench.measured import Measured
from photoz_models.documents import parse_document

MANY = 20_000


def case(name: str, folder: Path, sources: int) -> Measured:
    """Run one case in its own process."""
    command = [sys.executable, "-m", "bench.cases", name, str(folder), str(sources)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return parse_document(Measured, done.stdout, name)


def alone(function: str) -> float:
    """Median of three calls of a function of `bench.others`, in a process of its own."""
    code = f"from bench.others import {function} as measure; print(*(measure() for _ in range(3)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return statistics.median(float(word) for word in done.stdout.split())


def of_process(*arguments: str) -> tuple[float, float]:
    """Seconds and peak memory (MiB) of a module that prints both."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = (float(word) for word in done.stdout.split())
    return seconds, peak


def ratio(result: Measured, of: int = 0, to: int = 1, scale: float = 1.0) -> str:
    """Median and range of the ratio of two columns, pair by pair."""
    ratios = [scale * row[of] / row[to] for row in result.seconds]
    return f"{statistics.median(ratios):.3g} ({min(ratios):.3g}-{max(ratios):.3g})"


def line(what: str, figure: str, target: str, peak: str = "") -> None:
    """Print one row of the table."""
    print(f"{what:<58}{figure:>22}   {target:<16}{peak}", flush=True)


def main() -> None:
    """Make the tile, run every case, print the table."""
    folder = Path(os.environ.get("BENCH_DATA", tempfile.gettempdir())) / "photoz-bench"
    try:
        line("full-size tile, 18,500 x 19,500, one thread", "measured", "target", "peak memory")
        stamps = case("stamps", folder, MANY)
        line(
            "20,000 sources warm: stamps (four bands), objects/s",
            f"{MANY / stamps.medians[0]:,.0f}",
            ">= 20,000",
            stamps.peak,
        )
        loop = case("cutout2d", folder, MANY)
        scale = MANY / LOOPED
        line(
            "  times an astropy Cutout2D loop over sky positions", ratio(loop, 0, 2, scale), ">= 50"
        )
        line("  times a Cutout2D loop over pixels known beforehand", ratio(loop, 1, 2, scale), "")
        masked = case("stamps-masked", folder, MANY)
        line(
            "  with weights and flag images, objects/s",
            f"{MANY / masked.medians[0]:,.0f}",
            "",
            masked.peak,
        )
        tile = case("tile", folder, MANY)
        larger = 1 if tile.medians[1] > tile.medians[2] else 2
        line(
            "20,000 sources: whole tile / larger of cutting, inference",
            ratio(tile, 0, larger),
            "<= 1.2",
            tile.peak,
        )
        for name, seconds in zip(
            ("whole tile", "cutting alone", "inference alone"), tile.medians, strict=True
        ):
            line(f"  {name}, objects/s", f"{MANY / seconds:,.0f}", "")
        line(
            "validation of 1,000,000 pairs without plots, seconds",
            f"{alone('million_pairs'):.1f}",
            "< 10",
        )
        for share in (1.0, 0.3, 0.05):
            seconds, peak = of_process("bench.match", str(share))
            line(
                f"20,000,000 spec-z, {share:.0%} on as many sources, seconds",
                f"{seconds:.0f}",
                "< 180",
                f"{peak:,.0f} MiB",
            )
        seconds, peak = of_process("bench.many_pairs")
        line(
            "validation of 20,000,000 pairs without plots, seconds",
            f"{seconds:.0f}",
            "< 3,072 MiB",
            f"{peak:,.0f} MiB",
        )
        line(
            "simulated galaxies rendered in four bands, per second",
            f"{alone('rendered_galaxies_per_second'):.0f}",
            ">= 250",
        )
        line(
            "photoz-run --help, seconds",
            f"{statistics.median(_help() for _ in range(5)):.2f}",
            "< 0.5",
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    network.main()
    cold.main()
    packed.main()
    release.main()
    apply.main()
    afar.main()


def _help() -> float:
    command = [str(Path(sys.executable).with_name("photoz-run")), "--help"]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
