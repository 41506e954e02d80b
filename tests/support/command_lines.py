"""Command lines of this program in documents and scripts, parsed by the real commands."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise

import typer

from photoz_run.cli import photoz, run

PROGRAMS = ("photoz-run", "photoz")
SPAN = re.compile(r"(?<!`)`(photoz(?:-run)? [^`]+)`(?!`)", re.DOTALL)
FENCE = re.compile(r"^```(console|sh|bash|shell)$\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ENDS = {"|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "(", ")"}


def in_document(markdown: str) -> Iterator[list[str]]:
    """Commands of this program in the console blocks and the `code` spans of a page."""
    for language, block in FENCE.findall(markdown):
        for line in block.replace("\\\n", " ").splitlines():
            # In a console the other lines are what the command says.
            if language != "console" or line.startswith("$ "):
                yield from in_shell(line.removeprefix("$ "))
    for span in SPAN.findall(re.sub(r"^```.*?^```$", "", markdown, flags=re.DOTALL | re.MULTILINE)):
        yield from in_shell(" ".join(span.split()))


def in_shell(line: str) -> Iterator[list[str]]:
    """Commands of this program in a line of shell; an ellipsis stands for what is left out."""
    words: list[str] = []
    for word in [*_split(line), ";"]:
        if word in ENDS:
            names = [one.rpartition("/")[2] for one in words]
            # An image may have the program's name: docker run photoz-run photoz-run ...
            start = next(
                (n for n, pair in enumerate(pairwise([*names, ""])) if _starts(*pair)), None
            )
            if start is not None:
                yield [names[start], *(one for one in words[start + 1 :] if one != "...")]
            words = []
        else:
            words.append(word)


def _starts(name: str, following: str) -> bool:
    return name in PROGRAMS and following not in PROGRAMS


def parse(command: list[str], incomplete: bool = False) -> None:
    """Let the real command parse the words; its usage error is raised.

    With ``incomplete``, arguments may be missing.
    """
    program, *words = command
    app = photoz.app if program == "photoz" else run.command_line()
    part, context = typer.main.get_command(app), None
    name = program
    while True:
        try:
            context = part.make_context(name, words, parent=context)
        except Exception as error:
            allowed = (
                ("MissingParameter", "NoArgsIsHelpError", "Exit") if incomplete else ("Exit",)
            )  # --help exits
            if type(error).__name__ in allowed:
                return
            raise
        if not hasattr(part, "resolve_command"):
            return
        name, part, words = part.resolve_command(context, [*context._protected_args, *context.args])


def _split(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)
