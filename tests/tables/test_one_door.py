"""Nothing but the room of tables opens one; what writes files may look at its own."""

import ast
from pathlib import Path

import photoz_run

ROOT = Path(photoz_run.__file__).parent
OPENERS = {
    "ParquetFile",
    "read_table",
    "dataset",
    "open_csv",
    "read_csv",
    "parse_single_table",
}
"""Functions that open a table."""
OWN_FILES = ("release/", "catalogue/", "tables/", "images/", "simulation/", "applying/files.py")
"""Rooms that write tables and read them again, or have no tables of others."""


def test_a_table_is_opened_in_its_room_alone():
    found = []
    for path in ROOT.rglob("*.py"):
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(OWN_FILES):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in OPENERS:
                found.append(f"{place}: {node.attr}")
            if isinstance(node, ast.Import | ast.ImportFrom) and "fitsio" in ast.unparse(node):
                found.append(f"{place}: fitsio")
    assert [line for line in found if not line.startswith("training/bound.py")] == []
