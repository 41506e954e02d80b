"""Stamps from a cold storage of a stated price: seconds, bytes and pieces of each way of reading.

``python -m bench.cold`` prints the table; ``make bench`` calls it.
"""

import statistics
import subprocess
import sys

from bench.cases import cut_all, drop_cache, settings, timed
from bench.measured import Cold
from bench.storage import ALONE, StatedStorage, stated_storage
from photoz_models.documents import document_text, parse_document
from photoz_models.session import PhotozModel
from photoz_run.config import model_path

MEMORY, DISK = (20.0, 500.0), (5_000.0, 200.0)
"""Microseconds of a piece and MB/s: pieces cost 10 kB of a stream, or a megabyte."""
CASES = ((100, MEMORY), (1_200, MEMORY), (20_000, MEMORY), (1_200, DISK))
REPEATS = 3


def main() -> None:
    """Print the table, or measure one case: ``SOURCES SEEK RATE pixels|everything``."""
    if len(sys.argv) > 1:
        sources, seek, rate, files = sys.argv[1:]
        print(document_text(measure(int(sources), float(seek), float(rate), files == "pixels")))
        return
    print(f"{'cold: sources, files, storage':<58}{'s':>8}{'MB':>9}{'pieces':>9}   of rows: s, MB")
    for sources, (seek, rate) in CASES:
        for files in ("pixels", "everything"):
            case = [str(word) for word in (sources, seek, rate, files)]
            _print_row(f"{sources:,}, {files}, {seek:,.0f} us, {rate:.0f} MB/s", _alone(case))


def measure(sources: int, seek: float, rate: float, pixels_only: bool) -> Cold:
    """Cut all stamps by the plan and by rows, in turn; each time from a cold cache."""
    model = PhotozModel.load(model_path("hybrid-sim"), "cpu", False, threads=1)
    with stated_storage(sources, seek, rate) as storage:
        pairs = [
            [_once(storage, model, pixels_only, reading) for reading in ("auto", "rows")]
            for _ in range(REPEATS)
        ]
    columns = list(zip(*pairs, strict=True))
    seconds = [statistics.median(row[0] for row in column) for column in columns]
    return Cold(
        seconds=tuple(seconds),
        bytes_served=tuple(column[0][1] for column in columns),
        pieces=tuple(column[0][2] for column in columns),
        ratio=statistics.median(pair[0][0] / pair[1][0] for pair in pairs),
    )


def _once(
    storage: StatedStorage, model: PhotozModel, pixels_only: bool, reading: str
) -> tuple[float, int, int]:
    prices = {"storage_seek": storage.seek, "storage_stream": storage.rate}
    config = settings(storage.folder, pixels_only, reading).model_copy(update=prices)
    before = storage.served
    seconds = timed(
        lambda: cut_all(storage.folder, model, config), lambda: drop_cache(storage.folder)
    )
    after = storage.served
    return seconds, after[0] - before[0], after[1] - before[1]


def _alone(case: list[str]) -> Cold:
    command = [*ALONE, sys.executable, "-m", "bench.cold", *case]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return parse_document(Cold, done.stdout, "cold")


def _print_row(what: str, cold: Cold) -> None:
    less = cold.bytes_served[0] / cold.bytes_served[1]
    print(
        f"{what:<58}{cold.seconds[0]:>8.2f}{cold.bytes_served[0] / 1e6:>9,.0f}"
        f"{cold.pieces[0]:>9,}   {cold.ratio:.2f}, {less:.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
