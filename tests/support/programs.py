"""Programs from outside Python that tests start.

Where one is missing, the test is skipped and names it.
"""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "setup" / "debian-packages.sh"
INSTALL = f"sudo sh {'/'.join(SCRIPT.parts[-3:])}"
"""The command that installs them all."""
SYSTEM_FOLDERS = "/usr/sbin:/sbin"
"""Where daemons lie, and an ordinary user does not look."""
_SKIPPED = re.compile(r"needs the program ([\w-]+)")


def needs(*programs: str) -> None:
    """Skip the test that is running unless all ``programs`` are installed.

    Called where they are started.
    """
    places = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}"
    for program in programs:
        if shutil.which(program, path=places) is None:
            pytest.skip(f"needs the program {program}")


def listed_programs() -> set[str]:
    """The programs that the script knows how to install."""
    rows = re.search(r"^LIST='\n(.*?)^'$", SCRIPT.read_text(), re.DOTALL | re.MULTILINE)[1]
    return {row.split()[0] for row in rows.splitlines()}


def skipped_for_programs(reasons: Iterable[str]) -> str:
    """What a test session says at its end of the tests that ``needs`` skipped; empty if none."""
    matches = [_SKIPPED.search(reason) for reason in reasons]
    programs = [match[1] for match in matches if match]
    if not programs:
        return ""
    number = f"{len(programs)} tests were" if len(programs) > 1 else "1 test was"
    return (
        f"{number} skipped for want of {', '.join(sorted(set(programs)))}."
        f" This installs them: {INSTALL}"
    )
