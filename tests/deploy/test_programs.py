"""Debian programs: one list, installed where that is allowed.

Elsewhere the tests that need a program are skipped and name it.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from support import slurm
from support.programs import INSTALL, SCRIPT, listed_programs

ROOT = Path(__file__).parents[2]
PATIENTLY = SCRIPT.with_name("patiently.sh")
TEST = "tests/catalogue/test_tile_files.py::test_fitsverify_has_nothing_to_say"
NEEDED = re.compile(r'needs\("([\w-]+)"\)')
STARTED = re.compile(r'\[\s*"([\w-]+)",')
BENCH = ROOT / "tests" / "bench"
"""It measures; nothing there is skipped."""
TESTS = [path for path in (ROOT / "tests").rglob("*.py") if BENCH not in path.parents]
TOOLS = (
    "sh",
    "dirname",
    "sort",
    "xargs",
    "mktemp",
    "date",
    "sleep",
    "rm",
    "cat",
    "echo",
    "true",
    "touch",
    "chmod",
)


def test_every_program_that_a_test_needs_is_one_that_the_script_installs():
    needed = {program for path in sources() for program in NEEDED.findall(path.read_text())}
    assert needed | set(slurm.PROGRAMS) == listed_programs()


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_a_listed_program_is_started_only_where_it_is_needed(path):
    text = path.read_text()
    started = set(STARTED.findall(text)) & listed_programs() - {"sbatch"}
    assert started <= set(NEEDED.findall(text))


@pytest.fixture
def machine(tmp_path):
    """Run the script on a bare machine that has all listed programs but fpack."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool))
    for program in listed_programs() - {"fpack"}:
        stand_in(folder / program, "")
    stand_in(folder / "sudo", "exit 1")

    def run(user: int) -> str:
        stand_in(folder / "id", f"echo {user}")
        environment = {"PATH": str(folder), "FOLDER": str(folder)}
        done = subprocess.run(
            [str(folder / "sh"), SCRIPT], env=environment, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def stand_in(path: Path, text: str) -> None:
    path.write_text(f"#!{shutil.which('sh')}\n{text}\n")
    path.chmod(0o755)


def test_where_nothing_is_missing_the_script_says_nothing(machine, tmp_path):
    stand_in(tmp_path / "bin" / "fpack", "")
    assert machine(user=1000) == ""


def test_a_user_who_may_not_install_is_told_what_is_missing_and_what_installs_it(machine):
    assert machine(user=1000) == (
        "not installed: libcfitsio-bin; tests that need them are skipped."
        f" To install them: {INSTALL}\n"
    )


@pytest.mark.parametrize("user", [0, 1000])
def test_root_or_sudo_installs_what_is_missing_and_says_so(machine, tmp_path, user):
    folder = tmp_path / "bin"
    stand_in(folder / "sudo", 'shift; exec "$@"')
    stand_in(
        folder / "apt-get",
        '[ "$1" = update ] && exit\n'
        'echo "$@" >"$FOLDER/asked"\n'
        'touch "$FOLDER/fpack"\n'
        'chmod +x "$FOLDER/fpack"',
    )
    said = machine(user)
    assert re.fullmatch(r"installing the Debian packages libcfitsio-bin \.* done, \d+ s\n", said)
    asked = (folder / "asked").read_text().split()
    assert asked[0] == "install"
    assert asked[-1] == "libcfitsio-bin"


def test_what_runs_patiently_ends_with_it_when_interrupted(tmp_path):
    started = tmp_path / "started"
    command = ["sh", PATIENTLY, "waiting", "sh", "-c", f"echo $$ >{started}; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.read(1) != ".":
            pass
        process.terminate()
        # The pipe ends when the last process that holds it has ended.
        process.communicate(timeout=600)
    assert process.returncode == 130
    pid = int(started.read_text())
    while psutil.pid_exists(pid):
        time.sleep(0.05)


def test_a_command_that_ends_in_its_first_moment_is_told(tmp_path):
    for _ in range(100):
        done = subprocess.run(["sh", PATIENTLY, "words", "false"], capture_output=True, timeout=600)
        assert (done.returncode, done.stdout) == (1, b"words  failed\n")


def test_an_installation_that_fails_shows_why_and_what_is_still_missing(machine, tmp_path):
    stand_in(tmp_path / "bin" / "apt-get", "echo no route to host; exit 100")
    environment = {"PATH": str(tmp_path / "bin")}
    machine(user=1000)
    stand_in(tmp_path / "bin" / "id", "echo 0")
    done = subprocess.run(
        [shutil.which("sh"), SCRIPT], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "failed\n" in done.stdout
    assert "not installed: libcfitsio-bin;" in done.stdout
    assert "no route to host" in done.stderr


@pytest.mark.parametrize("ci", ["", "true"])
def test_without_its_program_a_test_is_skipped_by_name_and_in_ci_it_fails(tmp_path, ci):
    (tmp_path / "python").symlink_to(sys.executable)
    environment = os.environ | {"PATH": str(tmp_path), "CI": ci}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", TEST]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    *_, last, counts = done.stdout.splitlines()
    assert last == f"6 tests were skipped for want of fitsverify. This installs them: {INSTALL}"
    assert counts.startswith("6 failed" if ci else "6 skipped")
    assert "needs the program fitsverify" in done.stdout
    assert done.returncode == (1 if ci else 0)


def sources() -> list[Path]:
    return sorted((ROOT / "tests").rglob("*.py"))
