"""What every command shares: arguments that take several values, and errors as one clear line with an exit code."""

import sys
from collections.abc import Collection, Sequence

import typer

from photoz_run.errors import PhotozError
from photoz_run.run.offline import keep_caches_local


def call(app: typer.Typer, name: str, argv: Sequence[str], several: Collection[str] = ()) -> None:
    """Run ``app``; an error that has an explanation becomes one line on standard error and its exit code."""
    try:
        keep_caches_local()
        app(spread(argv, several), prog_name=name)
    except PhotozError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))


def spread(argv: Sequence[str], several: Collection[str]) -> list[str]:
    """Repeat the options of ``several`` before each of their values: ``--tiles A B`` becomes ``--tiles A --tiles B``.

    Values end at the next option, which is anything that starts with a dash and is no number.
    """
    spread_argv: list[str] = []
    option = ""
    for word in argv:
        if word.startswith("-") and not _is_number(word):
            option = word if word in several else ""
            if not option:
                spread_argv.append(word)
        elif option:
            spread_argv += [option, word]
        else:
            spread_argv.append(word)
    return spread_argv


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
