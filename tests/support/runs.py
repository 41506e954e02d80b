"""Running the main job in tests: the real command in its own process, or in this one with tiles in
threads.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster

from photoz_run.cli.run import main
from photoz_run.config import RunConfig
from photoz_run.records import tile_group
from photoz_run.run import driver
from photoz_run.run.cluster import SETTINGS
from photoz_run.run.demand import Demand

COMMAND = str(Path(sys.executable).with_name("photoz-run"))


def options(data: Path | str, bundle: Path, out: Path, *more: str) -> list[str]:
    """Options of a run over all tiles and all sources of ``data``."""
    start = ["--tiles", "all", "--data", str(data), "--model", str(bundle), "--out", str(out)]
    return [*start, "--select", "all", "--provider", "cpu", *more]


def start_command(arguments: list[str], largest_file: int | None = None) -> "subprocess.Popen[str]":
    """Start ``photoz-run``; none of its processes may write more than ``largest_file`` bytes."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.Popen(
        [COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
        env={**os.environ, "COLUMNS": "250"},
    )


def command(
    arguments: list[str], largest_file: int | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run ``photoz-run`` to its end."""
    process = start_command(arguments, largest_file)
    out, err = process.communicate(timeout=900)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def in_process(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> int:
    """Run the command's entry point here, tiles in threads of this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["photoz-run", *arguments])
    monkeypatch.setattr(driver, "open_client", thread_client)
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@contextmanager
def thread_client(_config: RunConfig, _demand: Demand) -> Iterator[Client]:
    """A client whose one worker lives in this process, so that a test can reach into it."""
    with (
        dask.config.set(SETTINGS),
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def contents(out: Path) -> dict[str, bytes]:
    """The catalogue of a run: name and bytes of every tile file."""
    return {
        path.name: path.read_bytes()
        for path in sorted((out / "tiles").glob("*/*"))
        if path.suffix != ".json"
    }


def tile_file(out: Path, tile: str, suffix: str = ".parquet") -> Path:
    """Where a run keeps a file of a tile."""
    return out / "tiles" / tile_group(tile) / f"{tile}{suffix}"


def files(out: Path) -> list[Path]:
    """Every file of the tiles of a run, half-written ones included."""
    return sorted(path for path in (out / "tiles").rglob("*") if path.is_file())


def outcome(out: Path, tile: str) -> dict[str, Any]:
    """The record of a tile, wherever it ended."""
    name = f"{tile_group(tile)}/{tile}.json"
    good, bad = out / "tiles" / name, out / "quarantine" / name
    assert good.exists() != bad.exists()
    record: dict[str, Any] = json.loads((good if good.exists() else bad).read_text())
    return record


def assert_nowhere(secret: str, *folders: Path) -> None:
    """No file below the folders, of which there are some, holds a secret."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
