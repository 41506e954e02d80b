"""Execute docs/one-galaxy.ipynb, and make the picture of a page of galaxies in docs/show.md.

Usage: python docs/img/make_pictures.py, with the program's commands and chromium on the path. Takes
half a minute.
"""

import csv
import re
import subprocess
import tempfile
from pathlib import Path

import nbformat
import pyarrow.parquet as pq
from nbclient import NotebookClient

HERE = Path(__file__).parent
NOTEBOOK = HERE.parent / "one-galaxy.ipynb"
PAGE = HERE / "show-page.png"
GALAXIES = 6
"""On the page."""
WINDOW = 1280, 760
TERMINAL = re.compile(r"\x1b\[[?\d;]*[a-zA-Z]|\r")
"""What a command says to a terminal alone."""


def main() -> None:
    """Leave the notebook with its outputs; draw a page of the galaxies of its survey."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        execute(folder)
        draw(folder)


def execute(folder: Path) -> None:
    """Execute the notebook in ``folder``; what differs from run to run is not kept."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": folder}}
    NotebookClient(notebook, record_timing=False, resources=resources).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = TERMINAL.sub("", output.text)
    nbformat.write(notebook, NOTEBOOK)


def draw(folder: Path) -> None:
    """A picture of the first of the galaxies that the notebook has measured."""
    rows = pq.read_table(folder / "tile.parquet", columns=["ID", "RAJ2000", "DECJ2000"])
    with (folder / "targets.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["ID", "RA", "DEC"])
        writer.writerows(row.values() for row in rows.slice(0, GALAXIES).to_pylist())
    show = ["photoz", "show", "targets.csv", "--data", "survey", "--specz", "survey/specz.fits"]
    subprocess.run([*show, "--out", "page.html"], cwd=folder, check=True)
    browser = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars"]
    options = [f"--window-size={WINDOW[0]},{WINDOW[1]}", f"--screenshot={PAGE}"]
    subprocess.run([*browser, *options, f"file://{folder}/page.html"], check=True)


if __name__ == "__main__":
    main()
