"""What ``photoz fetch`` remembers of a survey as large as DR5 fits into a small machine."""

import subprocess
import sys
import time
from pathlib import Path

from support.many_tiles import stub_tiles

TILES = 1347
"""Of DR5; with 13 files each that a run reads, of 16."""
MOST = 200_000_000 // 1024
"""200 MB in kB, as the kernel counts."""


def test_a_fetcher_of_a_whole_survey_stays_below_200_mb(bundle, tmp_path):
    stub_tiles(tmp_path / "data", TILES)
    file, run, shared = tmp_path / "run.toml", tmp_path / "run", tmp_path / "shared"
    # A folder behind an address: its listing tells sizes and times, and nobody need ask for them.
    file.write_text(
        f"""
        tiles = ["all"]
        data = ["file://{tmp_path / "data"}"]
        model = "{bundle}"
        [afar]
        window = "1"
        scratch_shared = "{shared}"
        """
    )
    photoz = Path(sys.executable).with_name("photoz")
    process = subprocess.Popen([photoz, "fetch", run, "--config", file], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 300
        # With the first tile the run is planned and written, and the window is full.
        while not list(shared.glob("photoz-window/*/*/fetched.json")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.terminate()
        process.wait(60)
    with (run / "places.jsonl").open() as places:
        assert sum(1 for _ in places) == TILES
    assert int(status.split("VmHWM:")[1].split()[0]) < MOST
