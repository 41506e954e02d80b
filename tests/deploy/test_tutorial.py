"""The tutorial and the README do what they say, command by command, on a simulated survey."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from support.command_lines import in_shell
from support.photoz import photoz
from support.runs import in_process

ROOT = Path(__file__).parents[2]
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
STANDS_FOR = {"/data/KiDS-DR5": "survey", "gkvScienceCatv02.fits": "survey/specz.fits"}
"""What the README calls by names of real data."""
ELSEWHERE = ("doctor", "slurm")
"""Words of commands that have tests of their own, on machines of their own."""


def commands(page: Path) -> list[list[str]]:
    """The commands of the program in the console blocks of a page, in order."""
    blocks = CONSOLE.findall(page.read_text())
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ photoz")]
    found = [words for line in lines for words in in_shell(line.removeprefix("$ "))]
    return [words for words in found if not set(ELSEWHERE) & set(words)]


def meant(words: list[str]) -> list[str]:
    return [STANDS_FOR.get(word, word) for word in words]


def execute(words: list[str]) -> int:
    """Run a command here, in the current folder; its exit code."""
    program, *options = meant(words)
    if program == "photoz":
        return photoz(*options)
    with pytest.MonkeyPatch.context() as patch:
        return in_process(patch, options)


def python_of(page: Path) -> str:
    """What the first Python block of a page prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(PYTHON.search(page.read_text())[1], {})
    return printed.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the tutorial was gone through, to its end."""
    place = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for words in commands(ROOT / "docs" / "tutorial.md"):
            assert execute(words) == 0, words
    return place


def test_the_tutorial_runs_from_its_first_to_its_last_line(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert (folder / "galaxy.png").stat().st_size > 10_000
    assert (folder / "my-run" / "validation" / "report.html").exists()
    assert "KiDSDR5 J" in python_of(ROOT / "docs" / "tutorial.md")


def test_the_readme_does_too(folder, tmp_path, monkeypatch):
    (tmp_path / "survey").symlink_to(folder / "survey")
    monkeypatch.chdir(tmp_path)
    words = commands(ROOT / "README.md")
    assert [each[1] for each in words if each[0] == "photoz"] == ["validate", "release", "verify"]
    done = commands(ROOT / "docs" / "tutorial.md")
    for each in words:
        assert meant(each) in done or execute(each) == 0, each
    assert "KiDSDR5 J" in python_of(ROOT / "README.md")


def test_each_picture_of_the_tutorial_is_there_and_fetches_nothing():
    page = (ROOT / "docs" / "tutorial.md").read_text()
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", page)
    assert len(pictures) >= 8
    for picture in pictures:
        path = ROOT / "docs" / picture
        assert path.exists()
        if path.suffix == ".svg":
            assert "@font-face" not in path.read_text()
            assert "url(http" not in path.read_text()
