"""One SLURM for all tests of a process, with tiny tiles to measure; every test leaves it empty."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.crash import Hold
from support.runs import COMMAND, command, contents, options
from support.slurm import Slurm, two_nodes
from support.slurm_runs import JOB, TILES, SlurmRun
from support.tiles import make_tile


@pytest.fixture(scope="session")
def session_slurm() -> Iterator[Slurm]:
    with two_nodes() as slurm:
        yield slurm


@pytest.fixture
def slurm(session_slurm) -> Iterator[Slurm]:
    """The SLURM, empty before and after."""
    yield session_slurm
    session_slurm.clear()


@pytest.fixture(scope="session")
def tiny_tiles(tmp_path_factory) -> Path:
    """The folder of ``TILES``, which the closed-form bundle measures in no time."""
    folder = tmp_path_factory.mktemp("tiny")
    for number, name in enumerate(TILES):
        make_tile(folder, name, seed=number)
    return folder


@pytest.fixture(scope="session")
def undisturbed(tiny_tiles, bundle, tmp_path_factory) -> dict[str, bytes]:
    """The catalogue of a local run over the tiny tiles."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    said = command(options(tiny_tiles, bundle, out, "--workers", "2"))
    assert said.returncode == 0, said.stderr
    return contents(out)


@pytest.fixture(scope="session")
def simulated_tiles(tmp_path_factory) -> Path:
    """The folder of eight small simulated tiles, for the bundled model."""
    folder = tmp_path_factory.mktemp("simulated") / "survey"
    words = ["simulate", str(folder), "--tiles", "8", "--size", "400", "--jobs", "2"]
    subprocess.run([Path(COMMAND).with_name("photoz"), *words], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def undisturbed_simulated(simulated_tiles, tmp_path_factory) -> dict[str, bytes]:
    """The catalogue of a local run over the simulated tiles, as the scripts of deploy/ make it."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    said = command(
        [
            "--tiles",
            "all",
            "--data",
            str(simulated_tiles),
            "--out",
            str(out),
            "--formats",
            "parquet,fits",
        ]
    )
    assert said.returncode == 0, said.stderr
    return contents(out)


@pytest.fixture
def simulated_run(slurm, simulated_tiles, tmp_path) -> Iterator[SlurmRun]:
    """A run of the bundled model over the simulated tiles whose workers are jobs."""
    out = tmp_path / "out"
    arguments = [
        "--tiles",
        "all",
        "--data",
        str(simulated_tiles),
        "--out",
        str(out),
        "--formats",
        "parquet,fits",
    ]
    with SlurmRun(
        slurm, [*arguments, "--cluster", "slurm", *JOB], out, Hold(tmp_path / "held")
    ) as run:
        yield run


@pytest.fixture
def run(slurm, tiny_tiles, bundle, tmp_path) -> Iterator[SlurmRun]:
    """A run over the tiny tiles whose workers are jobs; its driver is gone after the test."""
    arguments = options(tiny_tiles, bundle, tmp_path / "out", "--cluster", "slurm", *JOB)
    with SlurmRun(slurm, arguments, tmp_path / "out", Hold(tmp_path / "held")) as run:
        yield run
