"""``photoz``: the sub-commands, each in a module of its own."""

import sys

import typer

from pipeline.cli import release as release_command
from pipeline.cli import run as run_command
from pipeline.cli.console import call
from pipeline.cli.doctor import doctor
from pipeline.cli.flags import flags
from pipeline.cli.ledger import retry, status
from pipeline.cli.model import app as model_app
from pipeline.cli.simulate import simulate
from pipeline.cli.train import train
from pipeline.cli.validate import validate
from pipeline.cli.verify import verify

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
