"""What ``photoz fetch`` remembers of a survey as large as DR5 fits into a small machine."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from support.many_tiles import stub_tiles
from support.tiles import change_rows, make_tile

TILES = 1347
"""Of DR5; with 13 files each that a run reads, of 16."""
MOST = 43_000
"""kB that it takes for them: 32,000 were measured, beside 72,000 for a survey of two tiles."""


def memory_of_a_fetcher(folder: Path, bundle: Path, tiles: int) -> int:
    """kB that ``photoz fetch`` takes, without pages of files, when the window is full."""
    stub_tiles(folder / "data", tiles)
    file, run, shared = folder / "run.toml", folder / "run", folder / "shared"
    # A folder behind an address: its listing tells sizes and times, and nobody need ask for them.
    file.write_text(
        f"""
        tiles = ["all"]
        data = ["file://{folder / "data"}"]
        model = "{bundle}"
        [afar]
        window = "1"
        scratch_shared = "{shared}"
        """
    )
    photoz = Path(sys.executable).with_name("photoz")
    process = subprocess.Popen([photoz, "fetch", run, "--config", file], stderr=subprocess.PIPE)
    try:
        # With the first tile the run is planned and written, and the window is full.
        while not list(shared.glob("photoz-window/*/*/fetched.json")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        # The counts in `status` are off by many pages where there are many cores.
        pages = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    finally:
        process.terminate()
        process.wait(300)
    with (run / "places.jsonl").open() as places:
        assert sum(1 for _ in places) == tiles
    return int(pages.split("\nAnonymous:")[1].split()[0])


def test_what_a_fetcher_of_a_whole_survey_remembers_is_small(bundle, tmp_path):
    few = memory_of_a_fetcher(tmp_path / "few", bundle, 2)
    assert memory_of_a_fetcher(tmp_path / "many", bundle, TILES) - few < MOST


LOOK = """
import sys
from pathlib import Path
import photoz_run.run.fetching
from photoz_run.allocator import give_back_freed_memory
from photoz_run.survey.catalogues import selected_positions
from photoz_run.survey.discovery import find_tiles


def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


give_back_freed_memory()
(ref,) = find_tiles([Path(sys.argv[1])]).values()
before = peak()
assert selected_positions(ref, ("i",), 0.0, "bright", 10**6) is not None
print(peak() - before)
"""
"""Looks which sources are selected, as a fetcher does; prints the kB that it takes."""


def test_a_catalogue_of_100000_rows_takes_a_fetcher_20_mb(tmp_path):
    tile = make_tile(tmp_path, products=("sci",))

    def many(rows: np.ndarray) -> np.ndarray:
        copies = np.tile(rows, 100_000 // len(rows))
        copies["ID"] = [f"KiDSDR5 J{number:09}" for number in range(len(copies))]
        return copies

    change_rows(tile.catalogue, many)
    words = [sys.executable, "-c", LOOK, str(tmp_path)]
    more = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert int(more) < 20_000
