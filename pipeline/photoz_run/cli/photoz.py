"""``photoz``: the sub-commands, each in a module of its own."""

import sys

import typer

from photoz_run.cli import release as release_command
from photoz_run.cli import run as run_command
from photoz_run.cli.console import call
from photoz_run.cli.doctor import doctor
from photoz_run.cli.flags import flags
from photoz_run.cli.ledger import retry, status
from photoz_run.cli.model import app as model_app
from photoz_run.cli.simulate import simulate
from photoz_run.cli.train import train
from photoz_run.cli.validate import validate
from photoz_run.cli.verify import verify

SEVERAL = (*run_command.SEVERAL, *release_command.SEVERAL, "--specz")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Photometric redshifts for survey tiles: simulate, train, run, validate.",
)
app.command("run")(run_command.run)
app.command("status")(status)
app.command("retry")(retry)
app.command("validate")(validate)
app.command("release")(release_command.release)
app.command("verify")(verify)
app.command("train")(train)
app.add_typer(model_app, name="model")
app.command("simulate")(simulate)
app.command("doctor")(doctor)
app.command("flags")(flags)


def main() -> None:
    """Entry point of ``photoz``."""
    call(app, "photoz", sys.argv[1:], SEVERAL)
