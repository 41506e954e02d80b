"""What stands beside the code agrees with it: versions, citation, hooks, the map of modules."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import yaml

import photoz_run

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([\w-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_version_is_the_same_wherever_it_is_written():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changes = re.findall(r"^## (\d\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert photoz_run.__version__ == PROJECT["version"] == citation["version"] == changes[0]
    assert citation["license"] == PROJECT["license"]


def test_hooks_call_what_a_person_calls():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (repository,) = config["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        make, target = hook["entry"].split()
        assert make == "make"
        assert target in TARGETS


def test_ci_calls_what_a_person_calls():
    lines = re.findall(r"^make (.+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    called = [word for line in lines for word in line.split() if not word.startswith("--")]
    assert sorted(called) == ["check", "test", "test-scale", "test-slurm"]
    assert set(called) <= TARGETS


def test_every_target_that_contributing_and_readme_name_exists():
    pages = [(ROOT / name).read_text() for name in ("CONTRIBUTING.md", "README.md")]
    named = {target for page in pages for target in re.findall(r"(?:\$ |`)make ([\w-]+)", page)}
    assert {"test", "check", "demo"} <= named <= TARGETS


def test_the_map_in_contributing_has_every_room():
    folder = ROOT / "pipeline" / "photoz_run"
    packages = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    modules = {path.name for path in folder.glob("[a-z]*.py")}
    tree = (ROOT / "CONTRIBUTING.md").read_text().partition("pipeline/photoz_run/\n")[2]
    named = re.findall(r"^  (\S+) ", tree.partition("models/photoz_models/\n")[0], re.MULTILINE)
    assert set(named) == packages | modules
    assert len(set(named)) == len(named)


def test_the_files_that_an_extension_changes_exist():
    page = (ROOT / "docs" / "extending.md").read_text()
    named = {name for name in re.findall(r"`(\S+/\S+\.py)`", page) if "NAME" not in name}
    assert len(named) > 8
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_the_lists_that_an_extension_joins_exist():
    for line in (ROOT / "docs" / "extending.md").read_text().splitlines():
        file, words = (line.split("|") + [""] * 3)[1:3]
        path = ROOT / file.strip(" `")
        for name in re.findall(r"`([A-Z_]{3,}|[a-z]+_[a-z_]+)`", words if path.is_file() else ""):
            assert name in path.read_text(), f"{name} is not in {file}"


def test_no_two_classes_share_a_name():
    """One word, one idea: a reader who meets a class knows which."""
    sources = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "models").rglob("*.py")]
    names = Counter(
        name
        for path in sources
        for name in re.findall(r"^class ([A-Z]\w+)", path.read_text(), re.MULTILINE)
    )
    assert [name for name, number in names.items() if number > 1] == []
