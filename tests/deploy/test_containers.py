"""The recipes of containers.

There is no container program where tests run: the recipes are read, and their script is run.
"""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = (ROOT / "deploy/docker/Dockerfile").read_text()
APPTAINER = (ROOT / "deploy/apptainer/photoz-run.def").read_text()
INSTALL = ROOT / "deploy/install-in-container.sh"
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BUILT = "dist"
"""Made by the command that both recipes name: pip wheel . --no-deps --wheel-dir dist."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the recipes copy: the wheel and the constraints.

    It is built as they say but for the download of hatchling.
    """
    folder = tmp_path_factory.mktemp("install")
    wheel = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--wheel-dir",
    ]
    subprocess.run([*wheel, folder / BUILT, ROOT], check=True)
    return folder


def test_both_recipes_name_the_command_that_builds_the_wheel():
    for recipe in (DOCKER, APPTAINER):
        assert f"pip wheel . --no-deps --wheel-dir {BUILT}" in recipe


def test_both_start_from_the_same_pinned_python_that_the_program_supports():
    bases = re.findall(r"^(?:FROM|From:) (\S+)$", DOCKER + APPTAINER, re.MULTILINE)
    assert len(bases) == 2
    assert bases[0] == bases[1]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-bookworm", bases[0])
    assert tuple(map(int, bases[0].split(":")[1].split(".")[:2])) >= (3, 11)


def test_everything_that_is_copied_exists():
    copied = re.findall(r"^COPY (.+) \S+$", DOCKER, re.MULTILINE)
    files = APPTAINER[APPTAINER.index("%files") : APPTAINER.index("%post")].splitlines()[1:]
    sources = " ".join(copied).split() + [line.split()[0] for line in files if line.strip()]
    assert {source for source in sources if not source.startswith(BUILT)} == {
        "constraints.txt",
        "deploy/install-in-container.sh",
    }
    assert all((ROOT / source).is_file() for source in sources if not source.startswith(BUILT))
    allowed = (ROOT / "deploy/docker/Dockerfile.dockerignore").read_text()
    assert all(f"!{source}\n" in allowed for source in " ".join(copied).split())


@pytest.mark.parametrize("recipe", [DOCKER, APPTAINER], ids=["docker", "apptainer"])
def test_a_recipe_installs_for_the_cpu_unless_told_otherwise_and_cleans_up(recipe):
    assert re.search(r"PROVIDER=cpu$", recipe, re.MULTILINE)
    assert re.search(
        r'sh /install/install-in-container.sh ("\$PROVIDER"|\{\{ PROVIDER \}\}) /install', recipe
    )
    assert "rm -r /install" in recipe
    assert "photoz doctor" in recipe.replace('", "', " ")


def install(provider, folder, tmp_path):
    """Run the script with a pip that records its arguments."""
    pip = tmp_path / "pip"
    pip.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    pip.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    return subprocess.run(
        ["sh", INSTALL, provider, folder], env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("provider", "pinned"), [("cpu", True), ("cuda13", True), ("cuda12", False)]
)
def test_the_extra_of_a_provider_exists_and_fits_the_constraints(
    provider, pinned, folder, tmp_path
):
    constraints = folder / "constraints.txt"
    constraints.write_text((ROOT / "constraints.txt").read_text())
    said = install(provider, folder, tmp_path)
    assert said.returncode == 0, said.stderr
    wheel = said.stdout.splitlines()[-1]
    extra = re.fullmatch(r".*/photoz_run-\S+\.whl(?:\[(\w+)\])?", wheel)[1]
    assert extra == (None if provider == "cpu" else provider)
    assert extra is None or extra in EXTRAS
    assert ("onnxruntime-gpu==" in constraints.read_text()) is pinned


@pytest.mark.parametrize("provider", ["", "cuda", "rocm"])
def test_an_unknown_provider_is_refused(provider, folder, tmp_path):
    said = install(provider, folder, tmp_path)
    assert said.returncode == 2
    assert "PROVIDER is cpu, cuda12 or cuda13" in said.stderr
    assert said.stdout == ""


def test_the_wheel_puts_no_generic_name_into_site_packages(folder):
    (wheel,) = (folder / BUILT).glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = {name.partition("/")[0] for name in files.namelist()}
    (described,) = (name for name in names if name.endswith(".dist-info"))
    assert names == {"photoz_run", "photoz_models", described}


def test_the_wheel_that_is_installed_runs_the_program_from_its_own_files(folder, tmp_path):
    """The real pip, in a fresh environment that borrows this one's packages."""
    (folder / "constraints.txt").write_text((ROOT / "constraints.txt").read_text())
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = tmp_path / "venv" / "bin" / "pip"
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip --quiet --python {python} "$@"\n')
    pip.chmod(0o755)
    environment = {
        "PATH": f"{pip.parent}:/usr/bin:/bin",
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "HOME": str(tmp_path),
    }
    subprocess.run(["sh", INSTALL, "cpu", folder], env=environment, check=True)
    purelib = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    here = next(path for path in sys.path if path.endswith("site-packages"))
    # A .pth file would also bring the editable installation of this repository.
    environment["PYTHONPATH"] = f"{purelib}:{here}"
    said = subprocess.run(
        [
            pip.with_name("photoz"),
            "model",
            "verify",
            purelib / "photoz_models/bundled/hybrid-sim.onnx",
        ],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert said.returncode == 0, said.stderr
    assert "golden values come back on cpu" in said.stdout
    assert (purelib / "photoz_run" / "commit.txt").is_file()
