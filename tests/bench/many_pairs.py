"""``python -m bench.many_pairs [MILLIONS]``: `photoz validate --no-plots` on 20 million pairs.

The rows are those of a release, in tiles of 20,000 galaxies. Prints seconds and the peak of memory
(MiB). Takes a gigabyte of scratch.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run.validation.settings import SpecSettings, ValidationSettings
from photoz_run.validation.validate import validate

MILLION, TILES = 1_000_000, 50
"""Rows that are written at once, and the tiles that hold them."""
ROW = 142
"""Galaxies in a row of a tile, which is a degree wide."""
ENDS = {"LO95": -1.96, "LO68": -1.0, "HI68": 1.0, "HI95": 1.96}


def write(folder: Path, millions: int) -> None:
    """The catalogue and its spec-z, a million rows at a time."""
    writers: list[pq.ParquetWriter] = []
    for k in range(millions):
        for name, rows in zip(("catalogue", "specz"), _million(k), strict=True):
            if not k:
                writers.append(pq.ParquetWriter(folder / f"{name}.parquet", rows.schema))
            writers[name == "specz"].write_table(rows)
    for writer in writers:
        writer.close()


def _million(seed: int) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(seed)
    tile, place = np.divmod(np.arange(MILLION), MILLION // TILES)
    tile += seed * TILES
    ra = 100.0 + tile % 100 + (place % ROW) / (ROW + 1)
    dec = -10.0 + tile // 100 + (place // ROW) / (ROW + 1)
    z = rng.gamma(6, 0.035, MILLION) + 0.01
    z_phot = z + rng.normal(0, 0.015, MILLION) * (1 + z)
    width = 0.015 * (1 + z_phot)
    flagged, masked = rng.random((2, MILLION)) < np.array([[0.1], [0.3]])
    numbers = {
        "MAG_AUTO_CALIB": 20 - rng.exponential(0.8, MILLION),
        "Z_PHOT": z_phot,
        "Z_PHOT_ERR": width,
        **{f"Z_PHOT_{end}": z_phot + k * width for end, k in ENDS.items()},
    }
    sources = {
        "ID": [f"KiDSDR5 J{seed:010d}{k:010d}" for k in range(MILLION)],
        "RAJ2000": ra,
        "DECJ2000": dec,
        "KIDS_TILE": [f"KIDS_{100 + k % 100}.0_{k // 100 - 10}.0" for k in tile.tolist()],
        **{name: values.astype(np.float32) for name, values in numbers.items()},
        "PHOTOZ_FLAG": (flagged << rng.integers(0, 18, MILLION)).astype(np.int32),
        "MASK": masked.astype(np.int32),
    }
    spectra = {
        "TARGET_RA": ra + 1e-5,
        "TARGET_DEC": dec,
        "Z": z,
        "ZWARN": np.zeros(MILLION, np.int32),
        "DELTACHI2": np.full(MILLION, 99.0),
    }
    return pa.table(sources), pa.table(spectra)


def main() -> None:
    """Write the tables in a process of their own, so that its memory does not count."""
    millions = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    if len(sys.argv) > 2:
        write(Path(sys.argv[2]), millions)
        return
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.many_pairs", str(millions), folder]
        subprocess.run(command, check=True)
        specz = (SpecSettings(file=Path(folder, "specz.parquet")),)
        start = time.perf_counter()
        result, _ = validate(Path(folder, "catalogue.parquet"), ValidationSettings(specz=specz))
        seconds = time.perf_counter() - start
    if result.overall.n != millions * MILLION:
        raise RuntimeError(f"{result.overall.n} pairs")
    print(f"{seconds:.1f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


if __name__ == "__main__":
    main()
