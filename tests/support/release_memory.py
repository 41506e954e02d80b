"""``python -m support.release_memory RUN OUT``: release a run with small ranges; prints the peak of memory in MiB."""

import sys
from pathlib import Path

from pipeline.catalogue.release_parquet import write_release_parquet
from pipeline.release import duplicates, merge
from pipeline.release.assemble import make_release
from pipeline.release.options import ReleaseOptions
from pipeline.release.progress import Progress


def main() -> None:
    """Release with pieces so small that a few hundred thousand rows are many of them."""
    merge.RANGE_BYTES = 4 << 20
    duplicates.CLAIMS_AT_ONCE = 1 << 14
    write_release_parquet.__defaults__ = (1 << 14,)
    options = ReleaseOptions("memory", formats=("parquet", "fits"))
    make_release(Path(sys.argv[1]), Path(sys.argv[2]), options, Progress(quiet=True), sys.exit)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) >> 10)


if __name__ == "__main__":
    main()
