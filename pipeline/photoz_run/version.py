"""Which code this is: the commit it was started or built from, and the packages beside it."""

import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The top of a checkout, where this is one: its ``pipeline`` folder is a source root."""
RECORDED = Path(__file__).with_name("commit.txt")
"""Written into the wheel when it is built (``deploy/record_commit.py``)."""
LENGTH = 12
SECONDS = 10
TRIES = 3
"""How often git is asked, for as many seconds each time."""


@cache
def program_commit() -> str:
    """The commit of the running program: 12 characters, and ``+`` if tracked files were changed.

    It is that of a git checkout, else the one recorded when the package was built, else
    ``unknown``.
    """
    return _checkout() or _recorded() or "unknown"


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Version of each of ``packages`` that is installed, by its name."""
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _checkout() -> str:
    if not (ROOT / ".git").exists():
        return ""
    # Without locks: nothing of a checkout that others use is touched.
    command = ["git", "--no-optional-locks", "-C", str(ROOT)]
    command += ["status", "--porcelain=v2", "--branch", "-uno"]
    status = _answer(command)
    if status is None or status.returncode != 0:
        return ""
    lines = status.stdout.splitlines()
    commit = next(
        (line.split()[2] for line in lines if line.startswith("# branch.oid ")), "(initial)"
    )
    changed = any(not line.startswith("#") for line in lines)
    return "" if commit == "(initial)" else commit[:LENGTH] + "+" * changed


def _answer(command: list[str]) -> "subprocess.CompletedProcess[str] | None":
    """How a command of git ended; ``None`` if it cannot be had.

    One that was killed, or hung in storage, says nothing of the checkout. It is asked again: else
    one process of a run would not know the commit of the others.
    """
    for _ in range(TRIES):
        try:
            answer = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            continue
        except OSError:
            return None
        if answer.returncode >= 0:
            return answer
    return None


def _recorded() -> str:
    try:
        return RECORDED.read_text().strip()
    except OSError:
        return ""
