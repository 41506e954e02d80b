"""What every command shares: the parsing of its words, its version, and errors as one line."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from photoz_run.cli.words import Grammar, spread
from photoz_run.errors import PhotozError, StoppedRunError
from photoz_run.run.offline import keep_caches_local

SETTINGS: dict[str, Any] = {"help_option_names": ["--help", "-h"]}
"""Of every command: typer's ``context_settings``."""


def call(app: typer.Typer, name: str, argv: Sequence[str]) -> None:
    """Run ``app``; an error that has an explanation becomes one line and its exit code.

    A signal's line is the last one of the process, see `photoz_run.run.interruption`.
    """
    try:
        keep_caches_local()
        app(list(argv), prog_name=name)
    except StoppedRunError:
        raise
    except PhotozError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))


class Command(TyperCommand):
    """A command whose options may take several values: ``--tiles A B``."""

    def __init__(self, *args: Any, help: str | None = None, **kwargs: Any) -> None:
        # Lines of a docstring are broken for its reader, not for the terminal.
        paragraphs = (help or "").split("\n\n")
        text = "\n\n".join(" ".join(lines.split()) for lines in paragraphs)
        super().__init__(*args, help=text, **kwargs)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse ``args`` after each value of an option got the option's name."""
        return super().parse_args(ctx, spread(args, _grammar(self.params)))

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters as typer has them; a flag takes no value, so that none is shown."""
        return _without_values_of_flags(super().get_params(ctx))


OTHER_NAMES = {"plan": "run --dry-run"}
"""What people may look for under another name."""


class CommandGroup(TyperGroup):
    """A command with sub-commands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is meant; close names are told by the class above."""
        if known := OTHER_NAMES.get(args[0]):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {known!r}?")
        return super().resolve_command(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """As `Command.get_params`."""
        return _without_values_of_flags(super().get_params(ctx))


def _grammar(params: Sequence[Any]) -> Grammar:
    options = [param for param in params if param.param_type_name == "option"]
    arguments = [param for param in params if param.param_type_name == "argument"]
    return Grammar(
        several=frozenset(name for option in options if option.multiple for name in option.opts),
        valued=frozenset(name for option in options if not option.is_flag for name in option.opts),
        arguments=sum(argument.required for argument in arguments),
    )


def _without_values_of_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from photoz_run import __version__
    from photoz_run.version import program_commit

    typer.echo(f"photoz-run {__version__}, commit {program_commit()}")
    raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version",
        help="Print version and commit, and exit.",
        callback=_print_version,
        is_eager=True,
    ),
]
"""An option ``--version``."""
