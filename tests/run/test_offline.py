"""A run needs no network and no home folder, and leaves nothing in one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from photoz_run.errors import ConfigError
from photoz_run.run.offline import CACHES, keep_caches_local
from support.runs import COMMAND, contents, options
from support.tiles import make_tile

PHOTOZ = str(Path(sys.executable).with_name("photoz"))
NOWHERE = """
mount --bind "$HOME" "$HOME"
mount -o remount,bind,ro "$HOME"
"$0" -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x41))'
exec "$@"
"""
"""Makes the home folder read-only, sets up loopback, and runs a command.

Loopback: SIOCSIFFLAGS with IFF_UP and IFF_RUNNING.
"""


@pytest.fixture
def homes(tmp_path):
    """A home folder, a temporary folder, and an environment that names them but no cache."""
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in (*CACHES, "ORT_DISABLE_TELEMETRY")
    }
    return home, scratch, kept | {"HOME": str(home), "TMPDIR": str(scratch), "COLUMNS": "250"}


def run(command, environment):
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


def python(code, environment, *more):
    return run([sys.executable, *more, "-c", code], environment)


def test_a_whole_run_works_without_a_network_and_with_a_home_that_cannot_be_written(
    homes, bundle, tmp_path
):
    home, scratch, environment = homes
    make_tile(tmp_path / "data", compression=".gz")
    namespace = [
        "unshare",
        "--map-root-user",
        "--net",
        "--mount",
        "sh",
        "-ec",
        NOWHERE,
        sys.executable,
    ]
    if run([*namespace, "true"], environment).returncode:
        pytest.skip("this machine gives no network namespace")
    refused = run([*namespace, "touch", str(home / "file")], environment)
    assert "Read-only" in refused.stderr
    said = run(
        [*namespace, COMMAND, *options(tmp_path / "data", bundle, tmp_path / "out")], environment
    )
    assert said.returncode == 0, said.stderr
    assert "1 tile (1 DONE), 40 rows" in said.stdout
    assert "Warning" not in said.stderr
    assert len(contents(tmp_path / "out")) == 1
    # No unpacked image. Whoever runs the tests is user 0 in the namespace.
    assert [path.name for path in scratch.glob("photoz*")] == ["photoz-run-0"]


def test_the_model_runs_and_reports_nothing_to_the_maker_of_its_runtime(homes, bundle):
    """ONNX Runtime would keep an identity of the machine and a data base of its use, to be sent."""
    home, scratch, environment = homes
    said = run([PHOTOZ, "model", "verify", str(bundle)], environment)
    assert said.returncode == 0, said.stderr
    assert list(home.iterdir()) == []
    assert [path for path in scratch.rglob("*") if path.is_file()] == []


def test_matplotlib_keeps_its_list_of_fonts_on_scratch(homes):
    home, scratch, environment = homes
    said = python(
        "from photoz_run.run.offline import keep_caches_local; keep_caches_local();"
        " import matplotlib.font_manager",
        environment,
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert list(home.iterdir()) == []
    assert list(scratch.glob("photoz-run-*/matplotlib/fontlist*.json"))


def test_old_tables_of_earth_rotation_and_leap_seconds_are_not_renewed(homes):
    """Two years after its installation astropy would fetch tables when it transforms a time."""
    code = """
import sys
def stop(event, args):
    if event == "socket.getaddrinfo":
        sys.exit(f"looks for {args[0]}")
sys.addaudithook(stop)
import photoz_run.survey.coadds
from astropy.time import Time, TimeDelta
from astropy.utils.iers import LeapSeconds
later = LeapSeconds._today() + TimeDelta(730, format="jd")
LeapSeconds._today = classmethod(lambda cls: later)
Time("2026-11-23").ut1
"""
    said = python(code, homes[2], "-W", "error")
    assert (said.returncode, said.stderr) == (0, "")
    without = python(code.replace("import photoz_run.survey.coadds", ""), homes[2])
    assert "looks for" in without.stderr  # else this test would show nothing


@pytest.fixture
def cleared(monkeypatch, tmp_path):
    """No cache chosen, temporary files in a folder of the test."""
    for variable in CACHES:
        monkeypatch.setenv(variable, "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path / f"photoz-run-{os.geteuid()}"


def test_caches_lie_in_one_private_folder(cleared):
    assert keep_caches_local() == cleared == keep_caches_local()
    assert cleared.stat().st_mode & 0o777 == 0o700
    assert all(Path(os.environ[variable]).is_relative_to(cleared) for variable in CACHES)
    assert all(Path(os.environ[variable]).is_dir() for variable in CACHES)


def test_a_folder_that_the_user_chose_is_kept(cleared, monkeypatch, tmp_path):
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "mine"))
    keep_caches_local()
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "mine")


def test_a_folder_inherited_from_another_node_is_replaced(cleared, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "job-on-another-node" / "cache"))
    keep_caches_local()
    assert os.environ["XDG_CACHE_HOME"] == str(cleared)
    assert not (tmp_path / "job-on-another-node").exists()


@pytest.mark.parametrize("trap", ["link", "open folder", "file", "of another owner"])
def test_a_folder_of_somebody_else_is_not_used(cleared, tmp_path, trap, monkeypatch):
    """/tmp belongs to everybody: a name that can be guessed can be taken."""
    if trap == "of another owner":
        cleared.mkdir(0o700)
        mine = os.geteuid()
        cleared = cleared.rename(tmp_path / f"photoz-run-{mine + 1}")
        monkeypatch.setattr("os.geteuid", lambda: mine + 1)
    elif trap == "link":
        (tmp_path / "theirs").mkdir()
        cleared.symlink_to(tmp_path / "theirs")
    elif trap == "file":
        cleared.touch()
    else:
        cleared.mkdir()
        cleared.chmod(0o777)
    cache = keep_caches_local()
    assert cache != cleared
    assert cache.stat().st_mode & 0o777 == 0o700
    assert cache.parent == tmp_path


def test_without_any_folder_for_temporary_files_it_is_said_what_to_set(
    cleared, monkeypatch, tmp_path
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="set TMPDIR to a folder on this machine"):
        keep_caches_local()
