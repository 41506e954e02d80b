"""``python -m bench.apply``: a bundle of magnitudes over 10 million rows, beside the network alone.

The network is the default one for nine magnitudes. It runs over as many rows with the same threads;
both are processes of their own, one after the other, three times. Takes 2 GB of scratch and some
minutes.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from photoz_models.independence import BATCH
from photoz_models.session import PhotozModel, available_threads
from support.galaxies import BANDS, toy_examples

MILLIONS = 10
REPEATS = 3
MOST_MIB = 1024


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds on the clock and of all cores, and its largest memory."""

    wall: float
    cpu: float
    peak_mib: int


def million(seed: int) -> dict[str, np.ndarray]:
    """The columns of a million rows; 2% of the magnitudes are missing."""
    dice = np.random.default_rng(seed)
    number = 1_000_000
    magnitudes_NB = dice.choice(toy_examples(2000).magnitudes_NB, number)
    magnitudes_NB += dice.normal(0, 0.1, magnitudes_NB.shape).astype(np.float32)
    magnitudes_NB[dice.random(magnitudes_NB.shape) < 0.02] = 99
    columns = {"ID": np.arange(number) + number * seed}
    return columns | {f"MAG_GAAP_{band}": magnitudes_NB[:, k] for k, band in enumerate(BANDS)}


def prepare(folder: Path) -> tuple[Path, Path]:
    """A bundle and a table."""
    folder.mkdir(parents=True)
    table, bundle, training = (folder / name for name in ("t.parquet", "nine.onnx", "set.parquet"))
    for seed in range(MILLIONS):
        part = pa.table(million(seed))
        if seed == 0:
            writer = pq.ParquetWriter(table, part.schema)
            labelled = part.slice(0, 5000)
            z_N = pa.array(np.linspace(0.1, 0.5, len(labelled)))
            pq.write_table(labelled.append_column("z", z_N), training)
        writer.write_table(part)
    writer.close()
    bands = ",".join(f"{band}=MAG_GAAP_{band}" for band in BANDS)
    words = ["train", "--table", str(training), "--bands", bands, "--z", "z", "--epochs", "1"]
    spent([*photoz(), *words, "--out", str(bundle)])
    return bundle, table


def photoz() -> list[str]:
    """The command."""
    return [sys.executable, "-m", "photoz_run"]


def spent(command: list[str]) -> Cost:
    """Run a command to its end."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{command} ended with {status}")
    wall = time.perf_counter() - start
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10)


def network(bundle: Path, rows: int) -> None:
    """Run the network over ``rows`` rows, as many batches side by side as ``photoz apply`` does."""
    model = PhotozModel.load(bundle, "cpu", threads=1)
    table_NT = np.random.default_rng(0).uniform(17, 22, (BATCH, len(BANDS))).astype(np.float32)
    stamps_NCHW = np.empty((BATCH, *model.contract.stamp_shape()), np.float32)
    with ThreadPoolExecutor(available_threads()) as pool:
        for _ in pool.map(lambda _: model.predict(stamps_NCHW, table_NT), range(rows // BATCH)):
            pass


def main() -> None:
    """Print a line for Parquet and one for FITS."""
    folder = Path(os.environ.get("BENCH_DATA", tempfile.gettempdir())) / "photoz-bench-apply"
    rows = MILLIONS * 1_000_000
    try:
        bundle, table = prepare(folder)
        alone = f"from bench import apply; apply.network(apply.Path({str(bundle)!r}), {rows})"
        for suffix in (".parquet", ".fits"):
            out = folder / f"out{suffix}"
            pairs = []
            for _ in range(REPEATS):
                out.unlink(missing_ok=True)
                words = ["apply", str(bundle), str(table), "--out", str(out), "--quiet"]
                pairs.append((spent([*photoz(), *words]), spent([sys.executable, "-c", alone])))
            wall, cpu = (
                statistics.median(getattr(own, what) / getattr(net, what) for own, net in pairs)
                for what in ("wall", "cpu")
            )
            rate = statistics.median(rows / own.wall for own, _ in pairs)
            peak = max(own.peak_mib for own, _ in pairs)
            name = f"{MILLIONS} million rows of magnitudes into {suffix[1:]}, rows/s"
            print(
                f"{name:<58}{rate:>12,.0f}   network alone: time x {wall:.2f}, cores x {cpu:.2f}"
                f"   {peak:,} MiB (<= {MOST_MIB:,})",
                flush=True,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
