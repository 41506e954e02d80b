"""``photoz``: the sub-commands, each in a module of its own."""

import sys

import typer

from pipeline.cli import run as run_command
from pipeline.cli.console import call
from pipeline.cli.flags import flags

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Photometric redshifts for survey tiles: run, simulate, train, validate.",
)
app.command("run")(run_command.run)
app.command("flags")(flags)


def main() -> None:
    """Entry point of ``photoz``."""
    call(app, "photoz", sys.argv[1:], run_command.SEVERAL)
