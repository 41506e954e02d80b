"""A survey fifteen times the size of DR5: real files without a source leave the program's cost."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from photoz_run.run.status import read_status
from support.many_tiles import stub_tiles
from support.runs import files, options, start_command

TILES = 20_000
A_FEW_THOUSAND = 4_000
"""Files in one folder."""
FLAT = 150_000_000
"""Bytes by which driver and scheduler may grow while they hand out 90% of the tiles."""

pytestmark = [pytest.mark.scale, pytest.mark.timeout(3000)]


def memory_of(process: psutil.Process) -> Iterator[int]:
    """Resident bytes of a process for as long as it runs."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        yield process.memory_info().rss
        time.sleep(3)


def finished(out: Path) -> int:
    return sum(1 for _ in out.glob("tiles/*/*.json"))


def test_twenty_thousand_tiles_cost_minutes_and_the_same_memory_as_two_thousand(
    bundle, tmp_path, capsys
):
    data, out = tmp_path / "data", tmp_path / "out"
    names = stub_tiles(data, TILES)
    assert len(names) == TILES

    start = time.monotonic()
    command = options(data, bundle, out, "--workers", "2", "--json")
    driver = start_command(command)
    early, late, begun = 0, 0, 0.0
    for rss in memory_of(psutil.Process(driver.pid)):
        done = finished(out)
        begun = begun or (time.monotonic() - start if done else 0.0)
        if TILES / 20 <= done <= TILES / 10:
            early = max(early, rss)
        late = max(late, rss)
    said, err = driver.communicate()
    seconds = time.monotonic() - start
    assert driver.returncode == 0, err
    assert json.loads(said)["tiles"]["NO_WORK"] == TILES
    assert early > 0
    assert late - early < FLAT

    folders = Counter(path.parent for path in out.rglob("*") if path.is_file())
    assert max(folders.values()) <= A_FEW_THOUSAND
    assert len(files(out)) == TILES

    start = time.monotonic()
    status = read_status(out)
    counted = time.monotonic() - start
    assert (status.tiles["NO_WORK"], status.total) == (TILES, TILES)

    start = time.monotonic()
    again = subprocess.run(
        [str(Path(sys.executable).with_name("photoz-run")), *command],
        capture_output=True,
        text=True,
        check=True,
    )
    resumed = time.monotonic() - start
    assert json.loads(again.stdout)["resumed"] == TILES
    with capsys.disabled():
        print(
            f"\n{TILES:,} empty tiles: first one done after {begun:.0f} s,"
            f" all after {seconds:.0f} s"
            f" ({1e3 * (seconds - begun) / TILES:.1f} ms each on 2 workers),"
            f" counted in {counted:.1f} s, resumed in {resumed:.0f} s;"
            f" driver and scheduler {early / 2**20:.0f} MiB at a tenth,"
            f" {late / 2**20:.0f} MiB at most"
        )
