"""``photoz``: the sub-commands, each in a module of its own."""

import sys

import typer

from photoz_run.cli.apply import apply
from photoz_run.cli.console import SETTINGS, Command, CommandGroup, Version, call
from photoz_run.cli.doctor import doctor
from photoz_run.cli.fetch import fetch
from photoz_run.cli.flags import flags
from photoz_run.cli.ledger import retry, status
from photoz_run.cli.model import app as model_app
from photoz_run.cli.release import release
from photoz_run.cli.run import run
from photoz_run.cli.show import show
from photoz_run.cli.simulate import simulate
from photoz_run.cli.train import train
from photoz_run.cli.validate import validate
from photoz_run.cli.verify import verify

app = typer.Typer(
    cls=CommandGroup,
    context_settings=SETTINGS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Photometric redshifts for survey tiles: run, validate, release, verify.",
)


@app.callback()
def _photoz(version: Version = False) -> None:
    pass


COMMANDS = (
    run,
    fetch,
    status,
    retry,
    apply,
    show,
    validate,
    release,
    verify,
    train,
    simulate,
    doctor,
    flags,
)
for command in COMMANDS:
    app.command(command.__name__, cls=Command)(command)
for registered in model_app.registered_commands:
    registered.cls = Command
app.add_typer(model_app, name="model", cls=CommandGroup)


def main() -> None:
    """Entry point of ``photoz``."""
    call(app, "photoz", sys.argv[1:])
