"""Runs over tiles that lie on a server: the catalogue of local files, through a bounded window."""

import hashlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from photoz_run.afar.transfer import Manners
from photoz_run.run import fetch_plan, fetchers, worker
from photoz_run.run.status import read_status
from photoz_run.tile import process_tile
from support.crash import Hold
from support.many_tiles import copies
from support.photoz import photoz
from support.runs import COMMAND, command, in_process, options, outcome, start_command, tile_file
from support.servers import WrongServer, bytes_sent, nginx
from support.tiles import make_tile
from support.windows import watched

NAMES = [f"KIDS_{k}.0_-31.2" for k in range(6)]
PATIENCE = 300.0
"""Seconds in which what must come comes, on a machine however busy."""
LOCATIONS = {b"photoz-run.inputs", b"photoz-run.inputs_digest"}
"""What a tile file says of where its inputs were."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Tiny tiles in one folder."""
    top = tmp_path_factory.mktemp("afar")
    return copies(make_tile(top / "one", NAMES[0], number=8), top / "data", NAMES)


@pytest.fixture(scope="module")
def local(data, bundle) -> Path:
    """A run over the same tiles where they lie."""
    out = data.parent / "local"
    with pytest.MonkeyPatch.context() as patch:
        assert in_process(patch, options(data, bundle, out)) == 0
    return out


def afar(address: str, bundle: Path, out: Path, *more: str) -> list[str]:
    """Options of a run over tiles behind an address, with a window of two beside ``out``."""
    places = ("--window", "2", "--scratch-shared", str(out.parent / "shared"))
    return options(address, bundle, out, *places, *more)


def same_catalogues(one: Path, other: Path, names: list[str]) -> None:
    """The tables of two runs are equal, and so is all that their files say but locations."""
    for name in names:
        ours, theirs = (pq.read_table(tile_file(out, name)) for out in (one, other))
        assert ours.equals(theirs)
        told = ours.schema.metadata, theirs.schema.metadata
        assert {key for key in told[0] if told[0][key] != told[1][key]} <= LOCATIONS
        assert told[0].keys() == told[1].keys()


def test_a_run_over_a_server_gives_the_catalogue_of_local_files_through_its_window(
    data, local, bundle, tmp_path, monkeypatch, capsys
):
    out, shared = tmp_path / "run", tmp_path / "shared"
    of_a_tile = sum(path.stat().st_size for path in data.glob("*_0.0_-31.2_*"))
    with nginx(data, tmp_path / "nginx") as address, watched(shared / "photoz-window") as seen:

        def process_when_seen(*arguments):
            wait_for(lambda: any(size > of_a_tile / 2 for _, size in seen))
            return process_tile(*arguments)

        monkeypatch.setattr(worker, "process_tile", process_when_seen)
        assert in_process(monkeypatch, afar(f"{address}/", bundle, out)) == 0
    same_catalogues(local, out, NAMES)
    tiles, sizes = zip(*seen, strict=True)
    assert 1 <= max(tiles) <= 2
    assert of_a_tile / 2 < max(sizes) <= 2 * of_a_tile
    assert [path.name for path in shared.glob("photoz-window/*")] == ["locks"]
    assert not [path for path in shared.rglob("*") if path.is_file()]
    catalogue = next(data.glob("*_0.0_-31.2_*_cat.fits"))
    capsys.readouterr()
    assert photoz("status", out) == 0
    assert re.search(r"\d\.\d MB fetched, each file at [\d.]+ MB/s", capsys.readouterr().out)
    fetched = outcome(out, NAMES[0])["fetched"]
    assert fetched[0]["url"] == f"{address}/{catalogue.name}"
    assert fetched[0]["digest"] == hashlib.sha256(catalogue.read_bytes()).hexdigest()
    inputs = json.loads(pq.read_schema(tile_file(out, NAMES[0])).metadata[b"photoz-run.inputs"])
    assert [file["sha256"] for file in inputs] == [file["digest"] for file in fetched]
    release = tmp_path / "release"
    assert photoz("release", out, "--out", release, "--formats", "parquet") == 0
    assert photoz("verify", release) == 0
    provenance = json.loads((release / "provenance.json").read_text())
    assert provenance["tiles"][0]["inputs"] == inputs


def test_what_has_changed_on_the_server_since_is_refused_as_a_changed_file_is(
    data, bundle, tmp_path, monkeypatch, capsys
):
    here = copies_of(data, tmp_path / "data", NAMES[:1])
    with nginx(here, tmp_path / "nginx") as address:
        arguments = afar(f"{address}/", bundle, tmp_path / "run")
        assert in_process(monkeypatch, arguments) == 0
        before = bytes_sent(tmp_path / "nginx")
        assert in_process(monkeypatch, arguments) == 0
        assert bytes_sent(tmp_path / "nginx") - before < 10_000
        coadd = next(here.glob("*_r_sci.fits"))
        os.utime(coadd, (1e9, 1e9))
        capsys.readouterr()
        assert in_process(monkeypatch, arguments) == 2
    said = capsys.readouterr().err
    assert "input files of 1 finished tile have changed since measuring" in said


def copies_of(data: Path, folder: Path, names: list[str]) -> Path:
    """The files of some tiles in a folder of their own."""
    folder.mkdir()
    for name in names:
        for path in data.glob(f"*{name.removeprefix('KIDS')}_*"):
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def hasty(monkeypatch) -> None:
    """A transfer is given up at its first failure, and tried again at once."""
    monkeypatch.setattr(fetchers, "Manners", partial(Manners, silence=3.0, attempts=1, pause=0.01))
    monkeypatch.setattr(fetchers, "PAUSE_SECONDS", 0.01)


@pytest.mark.usefixtures("hasty")
def test_a_bad_file_on_the_server_costs_its_tile_and_no_other(data, bundle, tmp_path, monkeypatch):
    server = WrongServer()
    for path in sorted(data.iterdir()):
        server.files[f"/{path.name}"] = path.read_bytes()

    def of(name: str) -> str:
        return next(path for path in server.files if f"{name[4:]}_r_sci" in path)

    lost, stalled, changed, page, hurt = NAMES[:5]
    addresses = list(server.files)
    del server.files[of(lost)]
    server.faults[of(stalled)] = ["stall"] * 100
    server.faults[of(changed)] = ["changed"]
    server.faults[of(page)] = ["page"]
    server.faults[of(hurt)] = ["reset"]
    out = tmp_path / "run"
    with server.running():
        listed = tmp_path / "files.txt"
        listed.write_text("".join(f"{server.url}{path}\n" for path in addresses))
        assert in_process(monkeypatch, afar(str(listed), bundle, out)) == 3
    reasons = {name: outcome(out, name)["reason"] for name in NAMES}
    assert "not there" in reasons[lost]
    assert "given up after 1 failure" in reasons[stalled]
    assert "its ETag has changed since the run was planned" in reasons[changed]
    assert "web page instead of the file" in reasons[page]
    assert reasons[NAMES[4]] == reasons[NAMES[5]] == ""
    # The archive is to blame for them, and not the host that was to measure them.
    (host,) = read_status(out).hosts.values()
    assert (host.good, host.failed) == (2, 0)
    assert not [path for path in (tmp_path / "shared").rglob("*") if path.is_file()]


@pytest.mark.usefixtures("hasty")
def test_an_archive_that_is_away_ends_the_run_to_be_resumed_and_blames_no_tile(
    data, bundle, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(fetchers, "PATIENCE_SECONDS", 0.2)
    server = WrongServer()
    for path in sorted(data.iterdir()):
        server.files[f"/{path.name}"] = path.read_bytes()
        server.faults[f"/{path.name}"] = ["reset"] * 1000
    out = tmp_path / "run"
    with server.running():
        listed = tmp_path / "files.txt"
        listed.write_text("".join(f"{server.url}{path}\n" for path in server.files))
        arguments = afar(str(listed), bundle, out)
        assert in_process(monkeypatch, arguments) == 75
        assert "the same command resumes" in capsys.readouterr().err
        assert not list((out / "quarantine").rglob("*.json"))
        server.faults.clear()
        monkeypatch.setattr(fetchers, "PATIENCE_SECONDS", 3600.0)
        assert in_process(monkeypatch, arguments) == 0


def test_a_dry_run_says_what_is_fetched_how_long_it_takes_and_the_window_it_needs(
    data, bundle, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(fetch_plan, "TRIAL_SECONDS", 0.5)
    limits = "limit_rate 100k;"
    with nginx(data, tmp_path / "nginx", limits) as address:
        arguments = options(f"{address}/", bundle, tmp_path / "run", "--workers", "3", "--dry-run")
        assert in_process(monkeypatch, [*arguments, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    of_a_tile = sum(path.stat().st_size for path in data.glob("*_0.0_-31.2_*"))
    second_epoch = sum(path.stat().st_size for path in data.glob("*_0.0_-31.2_i2_*"))
    assert [tile["bytes"] for tile in plan["tiles"]] == [of_a_tile - second_epoch] * len(NAMES)
    fetching = plan["fetching"]
    assert fetching["bytes"] == sum(tile["bytes"] for tile in plan["tiles"])
    assert fetching["largest"] == of_a_tile - second_epoch
    assert fetching["window"] == 4 * fetching["largest"]
    assert fetching["seconds"] == fetching["bytes"] / fetching["bytes_per_second"]
    assert 1e5 < fetching["bytes_per_second"] < 1e6
    assert not (tmp_path / "run").exists()


def test_without_credentials_the_run_stops_in_one_line(data, bundle, tmp_path, monkeypatch, capsys):
    (tmp_path / "users").write_text("anna:{PLAIN}secret\n")
    asks = f'auth_basic "archive"; auth_basic_user_file {tmp_path / "users"};'
    with nginx(data, tmp_path / "nginx", asks) as address:
        assert in_process(monkeypatch, afar(f"{address}/", bundle, tmp_path / "run")) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "credentials are missing or wrong" in said


def test_a_full_disk_of_the_window_ends_the_run_to_be_resumed(data, bundle, local, tmp_path):
    """The disk is one of its own, too small for a tile; then it is larger."""
    shared = tmp_path / "shared"
    shared.mkdir()
    size = sum(path.stat().st_size for path in data.glob("*_0.0_-31.2_*"))
    script = (
        f"mount -t tmpfs -o size={size // 2} tmpfs {shared}\n"
        'set +e; "$@"; echo "ended with $?"; set -e\n'
        f'mount -o remount,size={4 * size} {shared}\nexec "$@"\n'
    )
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-ec", script, "sh"]
    with nginx(data, tmp_path / "nginx") as address:
        arguments = afar(f"{address}/", bundle, tmp_path / "run", "--workers", "1")
        arguments[1] = NAMES[0]
        done = subprocess.run([*alone, COMMAND, *arguments], capture_output=True, text=True)
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(f"this machine lets nobody mount: {done.stderr}")
    assert done.stdout.startswith("ended with 75\n")
    assert "cannot be written (No space left on device)" in done.stderr
    assert "free space or check permissions" in done.stderr
    assert done.returncode == 0, done.stderr
    same_catalogues(local, tmp_path / "run", NAMES[:1])


def settings(folder: Path, address: str, bundle: Path, window: int) -> Path:
    """The settings of a run that is fetched for on another machine."""
    path = folder / "settings.toml"
    path.write_text(
        f"""
        tiles = ["all"]
        data = ["{address}/"]
        out = "{folder / "run"}"
        model = "{bundle}"
        select = "all"
        provider = "cpu"
        [afar]
        window = "{window}"
        scratch_shared = "{folder / "shared"}"
        fetchers = 0
        """
    )
    return path


def fetch_command(run: Path, *more: str) -> "subprocess.Popen[str]":
    photoz = str(Path(sys.executable).with_name("photoz"))
    words = [photoz, "fetch", str(run), *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_machine_with_a_network_fetches_for_a_run_that_has_none(
    data, local, bundle, tmp_path, monkeypatch, capsys
):
    run = tmp_path / "run"
    with nginx(data, tmp_path / "nginx") as address:
        file = settings(tmp_path, address, bundle, window=9)
        assert in_process(monkeypatch, ["--config", str(file)]) == 2
        assert f"start photoz fetch {run} first" in capsys.readouterr().err
        fetching = fetch_command(run, "--config", str(file))
        said, complained = fetching.communicate(timeout=PATIENCE)
        assert fetching.returncode == 0, complained
        assert said.startswith(f"{len(NAMES)} tiles fetched")
        assert photoz("fetch", run) == 0
        assert capsys.readouterr().out.startswith("nothing was fetched: every tile is there")
    # There is no server any more.
    assert in_process(monkeypatch, ["--config", str(file)]) == 0
    same_catalogues(local, run, NAMES)
    assert [path.name for path in tmp_path.glob("shared/photoz-window/*")] == ["locks"]


def test_whoever_is_killed_the_other_takes_over_and_nothing_is_lost(
    data, local, bundle, tmp_path, monkeypatch
):
    """Both fetch: first ``photoz fetch``, then the driver, then ``photoz fetch`` again.

    The server is slow, so that they are hit within a transfer; the window keeps its limit. A tile
    in the middle is held, so that neither comes to its end before.
    """
    hold = Hold(tmp_path / "held")
    hold.hold(NAMES[3])
    seed = time.time_ns() % 10**6
    print(f"seed {seed}")
    moments = random.Random(seed)
    slowly = "limit_rate 400k; limit_rate_after 20k;"
    run, shared = tmp_path / "run", tmp_path / "shared" / "photoz-window"
    with nginx(data, tmp_path / "nginx", slowly) as address, watched(shared) as seen:
        file = settings(tmp_path, address, bundle, window=2)
        fetching = fetch_command(run, "--config", str(file))
        wait_for(lambda: (run / "places.jsonl").exists())
        with monkeypatch.context() as held:
            for name, value in hold.variables.items():
                held.setenv(name, value)
            driver = start_command(["--config", str(file), "--workers", "1", "--fetchers", "2"])
        wait_for(lambda: list(run.glob("tiles/*/*.json")))
        wait_for(lambda: tiles_in_window(run) > 0)
        assert tiles_in_window(run) <= 2
        before = who_fetches(shared)
        kill(fetching, moments)
        wait_for(lambda: who_fetches(shared) not in (None, before))
        assert who_fetches(shared) == driver.pid
        kill(driver, moments)
        hold.let_go(NAMES[3])
        fetching = fetch_command(run)
        wait_for(lambda: who_fetches(shared) not in (None, driver.pid))
        assert command(["--config", str(file), "--workers", "1"]).returncode == 0
        fetching.communicate(timeout=PATIENCE)
        assert fetching.returncode == 0
    same_catalogues(local, run, NAMES)
    assert max(tiles for tiles, _ in seen) == 2
    assert not [path for path in shared.rglob("*") if path.is_file()]


def tiles_in_window(run: Path) -> int:
    """Those that no worker has, as ``photoz status`` counts them."""
    status = read_status(run).fetching
    assert status is not None
    assert status.hosts == (socket.gethostname(),)
    return status.waiting + status.on_their_way


def who_fetches(shared: Path) -> int | None:
    """The process that fetches, or was the last to do so."""
    for path in shared.glob("*/locks/*.json"):
        with suppress(FileNotFoundError, ValueError):
            return int(json.loads(path.read_text())["pid"])
    return None


def kill(process: "subprocess.Popen[str]", moments: random.Random) -> None:
    """End a process at some moment of the next half second."""
    time.sleep(moments.uniform(0, 0.5))
    process.kill()
    process.communicate()


def wait_for(happened) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)
