"""A survey fifteen times the size of DR5: real files without a source leave the program's cost."""

import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.many_tiles import stub_tiles
from support.runs import files, options, start_command

PHOTOZ = str(Path(sys.executable).with_name("photoz"))
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
        time.sleep(0.5)


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
        # However fast the tiles go by, one look is the first after a twentieth of them.
        if done >= TILES / 20 and (not early or done <= TILES / 10):
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

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    told = subprocess.run([PHOTOZ, "status", str(out)], capture_output=True, text=True, check=True)
    counted = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    computing = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert f"{TILES:,} tiles ({TILES:,} NO_WORK)" in told.stdout

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
            f" counted in {counted:.1f} s ({computing:.1f} s of computing),"
            f" resumed in {resumed:.0f} s;"
            f" driver and scheduler {early / 2**20:.0f} MiB at a tenth,"
            f" {late / 2**20:.0f} MiB at most"
        )
