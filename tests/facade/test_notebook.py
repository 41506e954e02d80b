"""The notebook and the examples of "From Python" work, one after the other, as they stand there."""

import os
import re
import runpy
import sys
import tempfile
from pathlib import Path

import nbformat
import numpy as np
import pyarrow.parquet as pq
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOK = DOCS / "one-galaxy.ipynb"
TERMINAL = re.compile(r"\x1b\[[?\d;]*[a-zA-Z]|\r")
"""What a command says to a terminal alone."""
NUMBER = re.compile(r"-?\d+\.\d+")
PATIENCE = 900
"""Seconds that a cell, or the start of Python, may take on a machine however busy."""
LONGEST = 40
"""Lines of code from a survey to one galaxy, a plot and a validation."""


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """The notebook with its outputs, and the folder in which it was executed."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    # Sockets that have a path: free ports may be taken before the kernel listens there.
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as sockets:
        patch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        kernel = KernelManager(transport="ipc", ip=f"{sockets}/kernel")
        where = {"metadata": {"path": folder}}
        patient = {"timeout": PATIENCE, "startup_timeout": PATIENCE}
        NotebookClient(notebook, km=kernel, resources=where, **patient).execute()
    return notebook, folder


def outputs_of(notebook) -> list:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def printed(notebook) -> str:
    text = "".join(output.get("text", "") for output in outputs_of(notebook))
    return TERMINAL.sub("", text)


def figures(notebook) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs_of(notebook))


def test_it_is_short():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    lines = [line for cell in code for line in cell.source.splitlines() if line.strip()]
    assert len(lines) < LONGEST


def test_it_shows_two_figures_and_prints_the_statistics_of_its_pairs(worked):
    notebook, folder = worked
    assert figures(notebook) == 2
    text = printed(notebook)
    assert re.search(r"KiDSDR5 J\S+: z = 0\.\d{3}", text)
    smad = float(re.search(r"^smad +(\S+)", text, re.MULTILINE)[1])
    assert 0.005 < smad < 0.03
    rows = pq.read_table(folder / "tile.parquet")
    assert f"{rows.num_rows} bright galaxies" in text
    assert np.isfinite(rows["Z_PHOT"].to_numpy()).all()


def test_what_the_page_shows_is_what_it_prints_now(worked):
    kept, now = nbformat.read(NOTEBOOK, as_version=4), worked[0]
    assert figures(kept) == figures(now)
    assert NUMBER.split(printed(kept)) == NUMBER.split(printed(now))
    before, after = (list(map(float, NUMBER.findall(printed(one)))) for one in (kept, now))
    # Another machine may round the last digit the other way.
    assert after == pytest.approx(before, abs=0.0011)


def test_the_examples_of_the_page_work(worked, monkeypatch, tmp_path, capsys):
    _, folder = worked
    monkeypatch.chdir(folder)
    (folder / "run").mkdir()
    (folder / "tile.parquet").rename(folder / "run" / "tile.parquet")
    examples = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(), re.DOTALL)
    assert len(examples) >= 4
    assert len(examples[0].strip().splitlines()) < 15
    script = tmp_path / "page.py"
    script.write_text("\n".join(examples))
    runpy.run_path(str(script))
    assert len(re.findall(r"^KiDSDR5 J\S+ 0\.\d+", capsys.readouterr().out, re.MULTILINE)) == 10
