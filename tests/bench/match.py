"""``python -m bench.match SHARE``: 20 million spec-z find their sources among 20 million.

SHARE of them (0 to 1) lie on a source, the others 30" beside it. Prints seconds and the peak of
memory (MiB) of reading both tables and pairing them. Takes a gigabyte of scratch.
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

from photoz_run.validation.catalogue import read_catalogue
from photoz_run.validation.pairs import pair
from photoz_run.validation.settings import SpecSettings, ValidationSettings
from photoz_run.validation.specz import read_specz

MILLIONS, MILLION = 20, 1_000_000
BESIDE = 30 / 3600
"""Degrees."""


def write(folder: Path, share: float) -> tuple[Path, Path]:
    """The catalogue and the spec-z table, a million rows at a time."""
    catalogue, specz = folder / "catalogue.parquet", folder / "specz.parquet"
    writers: list[pq.ParquetWriter] = []
    for k in range(MILLIONS):
        for number, rows in enumerate(_million(k, share)):
            if not k:
                writers.append(pq.ParquetWriter((catalogue, specz)[number], rows.schema))
            writers[number].write_table(rows)
    for writer in writers:
        writer.close()
    return catalogue, specz


def _million(seed: int, share: float) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(seed)
    ra, dec = rng.random(MILLION) * 360, np.degrees(np.arcsin(rng.random(MILLION) * 0.9))
    z = 0.01 + rng.random(MILLION) / 2
    sources = {
        "ID": [f"KiDSDR5 J{seed:010d}{k:010d}" for k in range(MILLION)],
        "RAJ2000": ra,
        "DECJ2000": dec,
        "Z_PHOT": (z + rng.normal(0, 0.02, MILLION)).astype(np.float32),
    }
    spectra = {
        "TARGET_RA": ra + 1e-5,
        "TARGET_DEC": np.where(rng.random(MILLION) < share, dec, dec + BESIDE),
        "Z": z,
        "ZWARN": np.zeros(MILLION, np.int32),
        "DELTACHI2": np.full(MILLION, 99.0),
    }
    return pa.table(sources), pa.table(spectra)


def main() -> None:
    """Write the tables in a process of their own, so that its memory does not count."""
    share = float(sys.argv[1])
    if len(sys.argv) > 2:
        write(Path(sys.argv[2]), share)
        return
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.match", sys.argv[1], folder]
        subprocess.run(command, check=True)
        start = time.perf_counter()
        specz = read_specz([SpecSettings(file=Path(folder, "specz.parquet"))])
        catalogue, _ = read_catalogue(Path(folder, "catalogue.parquet"), ValidationSettings())
        pairs = pair(catalogue, specz, 1.0)
        seconds = time.perf_counter() - start
    if abs(len(pairs) / MILLIONS / MILLION - share) > 0.01:
        raise RuntimeError(f"{len(pairs)} pairs")
    print(f"{seconds:.1f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


if __name__ == "__main__":
    main()
