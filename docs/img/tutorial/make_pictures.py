"""Make the pictures of docs/tutorial.md: run its commands, keep what they print and draw.

Usage: python docs/img/tutorial/make_pictures.py, with the program's commands on the path. Takes a
minute.
"""

import io
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "tutorial.md"
COLUMNS = 80
BLOCK = re.compile(
    r"^```console\n(.*?)^```\n(?:\n!\[.*?\]\((img/tutorial/\S+\.svg)\))?", re.M | re.S
)
FETCHED = re.compile(r"@font-face \{.*?\}\n?", re.S)
BAR = "\u2501"
"""Of a line with a bar of progress, which is gone from a terminal when the command has ended."""
GONE = re.compile(r"\x1b\[(?:\?25[hl]|\d*[AKJG])|\r")
"""What moves the cursor, by which a bar is taken away again."""
DRAWN = {
    "galaxy.png": "galaxy.png",
    "my-run/validation/plots/photoz_specz.png": "photoz-specz.png",
}


def main() -> None:
    """Run every command of the page; write an SVG where a picture follows it."""
    terminal = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "FORCE_COLOR": "1"}
    environment = {**os.environ, **terminal, "COLUMNS": str(COLUMNS)}
    with tempfile.TemporaryDirectory() as folder:
        for commands, picture in BLOCK.findall(PAGE.read_text()):
            printed = ""
            for line in commands.splitlines():
                command = line.removeprefix("$ ")
                done = subprocess.run(
                    command, shell=True, cwd=folder, env=environment, text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                )  # fmt: skip
                printed = f"$ {command}\n{GONE.sub('', done.stdout).lstrip()}"
            if picture:
                write_svg(printed, HERE.parents[1] / picture)
        for drawn, name in DRAWN.items():
            shutil.copy(Path(folder) / drawn, HERE / name)


def write_svg(printed: str, path: Path) -> None:
    """A picture of a terminal; its fonts are those of the reader, so that nothing is fetched."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    lines = [line for line in printed.rstrip().splitlines() if BAR not in line]
    console.print(Text.from_ansi("\n".join(lines)), soft_wrap=False)
    svg = console.export_svg(title="photoz", theme=MONOKAI, unique_id=path.stem)
    path.write_text(FETCHED.sub("", svg))


if __name__ == "__main__":
    main()
