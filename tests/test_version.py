"""A program says which code it is: by its checkout, or by what was recorded at its build."""

import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def package(tmp_path) -> Path:
    folder = tmp_path / "checkout" / "pipeline" / "photoz_run"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "pipeline" / "photoz_run" / "version.py", folder)
    return folder


def commit_of(package: Path) -> str:
    return runpy.run_path(str(package / "version.py"))["program_commit"]()


def git(folder: Path, *words: str) -> str:
    who = [
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    return subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def committed(package: Path) -> str:
    git(package.parents[1], "init", "--quiet")
    git(package.parents[1], "add", "pipeline/photoz_run/version.py")
    git(package.parents[1], "commit", "--quiet", "-m", "first")
    return git(package.parents[1], "rev-parse", "HEAD")


def test_in_a_checkout_it_is_the_commit_checked_out(package):
    commit = committed(package)
    assert commit_of(package) == commit[:12]


def test_a_git_that_is_killed_is_asked_again(package, tmp_path, monkeypatch):
    """Otherwise the driver of a run and its workers would not know each other's program."""
    commit = committed(package)
    killed, wrapper = tmp_path / "killed", tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f"#!/bin/sh\nif [ ! -e {killed} ]; then touch {killed}; kill -KILL $$; fi\n"
        f'exec {shutil.which("git")} "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")
    assert commit_of(package) == commit[:12]
    assert killed.exists()


def test_changed_files_are_marked_and_new_ones_are_not(package):
    commit = committed(package)
    (package / "new.txt").touch()
    assert commit_of(package) == commit[:12]
    with (package / "version.py").open("a") as file:
        file.write("\n")
    assert commit_of(package) == commit[:12] + "+"


def test_a_repository_around_an_installed_package_is_not_its_checkout(package):
    committed(package)
    inner = package.parents[1] / ".venv" / "lib" / "site-packages" / "photoz_run"
    shutil.copytree(package, inner)
    assert commit_of(inner) == "unknown"


def test_without_a_checkout_it_is_the_commit_recorded(package):
    assert commit_of(package) == "unknown"
    (package / "commit.txt").write_text("0123456789ab\n")
    assert commit_of(package) == "0123456789ab"


def test_a_checkout_that_git_cannot_read_is_no_error(package, monkeypatch):
    (package.parents[1] / ".git").mkdir()
    assert commit_of(package) == "unknown"
    git(package.parents[1], "init", "--quiet")
    assert commit_of(package) == "unknown"
    monkeypatch.setenv("PATH", "")
    assert commit_of(package) == "unknown"


def test_what_is_built_knows_its_columns_and_its_commit(tmp_path):
    """A wheel made from the source distribution, which has no repository."""
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    subprocess.run([*build, "-t", "sdist"], cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    # Not by shutil: its filter is younger than the Python of Debian 12.
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path], check=True)
    source = tmp_path / archive.name.removesuffix(".tar.gz")
    assert not (source / ".git").exists()
    subprocess.run([*build, "-t", "wheel"], cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        recorded = files.read("photoz_run/commit.txt").decode().strip()
        assert (
            files.read("photoz_run/columns.yaml")
            == (ROOT / "pipeline" / "photoz_run" / "columns.yaml").read_bytes()
        )
    assert recorded.rstrip("+") == git(ROOT, "rev-parse", "HEAD")[:12]
