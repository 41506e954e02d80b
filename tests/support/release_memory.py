"""``python -m support.release_memory RUN OUT``: release a run and print the most bytes it held.

Arrow counts its own memory, tracemalloc that of numpy and Python: unlike what the kernel sees, both
are the same each time.
"""

import sys
import tracemalloc
from pathlib import Path

import astropy.coordinates  # noqa: F401 - tracing its import would take longer than all else
import mocpy  # noqa: F401 - the same
import pyarrow as pa

from photoz_run.catalogue import fits_stream
from photoz_run.progress import StepProgress
from photoz_run.release import draft, duplicates, merge, rows
from photoz_run.release.assemble import make_release
from photoz_run.release.options import ReleaseOptions
from photoz_run.release.products.parquet import GROUPS, write_release_parquet

PIECE = 1 << 11


def main() -> None:
    """Release in pieces so small that some ten thousand rows are many of them."""
    merge.RANGE_BYTES = 1 << 18
    rows.BATCH = fits_stream.ROWS = PIECE
    duplicates.CLAIMS_AT_ONCE = PIECE
    write_release_parquet.__defaults__ = (PIECE,)
    draft.PART = GROUPS * PIECE
    options = ReleaseOptions("memory", formats=("parquet", "fits"))
    tracemalloc.start()
    make_release(Path(sys.argv[1]), Path(sys.argv[2]), options, StepProgress(quiet=True))
    print(tracemalloc.get_traced_memory()[1] + pa.default_memory_pool().max_memory())


if __name__ == "__main__":
    main()
