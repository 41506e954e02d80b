"""Messages that documents quote, and the texts in the sources that they must come from.

A table headed ``message`` quotes messages in its first column, as code, in the words of the
program; ``...`` stands for what varies. So does a line of a ``text`` block that begins with the
name of a command.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

VARIES = "\0"
"""Stands for a value within a text of the sources."""
HEADING = re.compile(r"^\| message \|.*\n\|[-| ]+\n", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
BLOCK = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^photoz(?:-run)?: (.+)$", re.MULTILINE)
SHORTEST = 8
"""Characters of a quotation that must stand in the sources in one piece."""


def quoted(markdown: str) -> Iterator[str]:
    """The messages that a page quotes."""
    for heading in HEADING.finditer(markdown):
        rows = markdown[heading.end() :].split("\n\n")[0].splitlines()
        for row in rows:
            if row.startswith("|"):
                yield from _in_cell(row.split("|")[1])
    for block in BLOCK.findall(markdown):
        yield from LINE.findall(block)


def _in_cell(cell: str) -> Iterator[str]:
    """The messages of a cell, in which nothing but them may stand."""
    around = CODE.sub("", cell).replace(",", "").replace(" or ", "").strip()
    if around:
        raise ValueError(f"{around!r} is no quotation: write the message as code")
    yield from CODE.findall(cell)


def texts(folder: Path) -> set[str]:
    """All texts in the sources below ``folder`` but docstrings, with `VARIES` for values."""
    return {text for path in folder.rglob("*.py") for text in texts_of(path.read_text())}


def texts_of(source: str) -> Iterator[str]:
    """The texts of one module."""
    tree = ast.parse(source)
    said = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(map(_piece, node.values))
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
        ):
            yield node.value


def _piece(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else VARIES


def stands_in(message: str, sources: set[str]) -> bool:
    """Whether one text of the sources has the pieces of ``message`` in this order."""
    pieces = [piece.strip() for piece in message.split("...")]
    if max(map(len, pieces)) < SHORTEST:
        return False
    pattern = re.compile(".*".join(map(re.escape, pieces)), re.DOTALL)
    return any(pattern.search(text) for text in sources)
