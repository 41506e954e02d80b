"""Random kills of those who fetch and of drivers: the window keeps its limit, no byte is lost.

The seed is printed; ``KILL_SEED`` sets it, ``KILLS`` how many there are (100: those of tiles from
afar are a quarter).
"""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.many_tiles import copies
from support.runs import COMMAND, command, options, tile_file
from support.servers import nginx
from support.tiles import make_tile
from support.windows import watched

pytestmark = pytest.mark.kill

NAMES = [f"KIDS_{k}.0_-31.2" for k in range(12)]
SLOWLY = "limit_rate 300k; limit_rate_after 20k;"
LONGEST = 6.0
"""Seconds between two hits, at most: a driver has begun its first tile by then, or not."""
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)
ENDED = (0, 75, 2, -signal.SIGKILL, -signal.SIGTERM)
"""2: another process is at work on the run, or nobody has told yet which files lie afar."""


def test_a_run_over_tiles_from_afar_survives_random_kills(bundle, tmp_path):
    seed = int(os.environ.get("KILL_SEED", time.time_ns() % 10**6))
    kills = int(os.environ.get("KILLS", 100)) // 4
    print(f"KILL_SEED={seed}")
    chance = random.Random(seed)
    tile = make_tile(tmp_path / "one", NAMES[0], number=8)
    data = copies(tile, tmp_path / "data", NAMES)
    assert command(options(data, bundle, tmp_path / "local")).returncode == 0
    shared, rounds = tmp_path / "shared" / "photoz-window", 0
    with nginx(data, tmp_path / "nginx", SLOWLY) as address, watched(shared) as seen:
        while kills > 0:
            run = tmp_path / f"run-{rounds}"
            kills -= disturbed(run, settings(tmp_path, address, bundle, run), chance, kills)
            check(run, tmp_path / "local")
            rounds += 1
    print(f"{rounds} catalogues")
    assert max(tiles for tiles, _ in seen) == 2
    assert not [path for path in shared.rglob("*") if path.is_file()]


def disturbed(run: Path, file: Path, chance: random.Random, most: int) -> int:
    """Bring a run to its end while whoever works on it is hit; how often that was."""
    photoz = Path(COMMAND).with_name("photoz")
    words = {
        "fetch": [photoz, "fetch", run, "--config", file],
        "driver": [COMMAND, "--config", file, "--workers", "1", "--fetchers", "2"],
        "idle driver": [COMMAND, "--config", file, "--workers", "1", "--fetchers", "0"],
    }
    working: dict[str, subprocess.Popen[bytes]] = {}
    hits = 0
    while hits < most:
        wanted = ("fetch", chance.choice(["driver", "idle driver"]))
        for kind in wanted:
            if kind not in working and not ("driver" in kind and len(working) > 1):
                log = (run.parent / "said").open("ab")
                working[kind] = subprocess.Popen(words[kind], stdout=log, stderr=log)
        time.sleep(chance.uniform(0, LONGEST))
        for kind, process in list(working.items()):
            if process.poll() is not None:
                assert process.returncode in ENDED, (kind, process.returncode)
                del working[kind]
                if process.returncode == 0 and "driver" in kind:
                    end(working)
                    return hits
        if working:
            kind = chance.choice(sorted(working))
            process = working.pop(kind)
            process.send_signal(chance.choice(SIGNALS))
            assert process.wait(300) in ENDED
            hits += 1
    end(working)
    finished = command(["--config", str(file), "--workers", "1", "--fetchers", "2"])
    assert finished.returncode == 0, finished.stderr
    return hits


def end(working: dict[str, "subprocess.Popen[bytes]"]) -> None:
    for process in working.values():
        process.terminate()
        assert process.wait(300) in ENDED


def settings(folder: Path, address: str, bundle: Path, run: Path) -> Path:
    path = folder / f"{run.name}.toml"
    path.write_text(
        f"""
        tiles = ["all"]
        data = ["{address}/"]
        out = "{run}"
        model = "{bundle}"
        select = "all"
        provider = "cpu"
        [afar]
        window = "2"
        scratch_shared = "{folder / "shared"}"
        """
    )
    return path


def check(run: Path, local: Path) -> None:
    """All tiles are there, as from files that lie here."""
    for name in NAMES:
        ours, theirs = (pq.read_table(tile_file(out, name)) for out in (run, local))
        assert ours.equals(theirs)
