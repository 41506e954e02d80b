"""Options are fields of the settings records: names, types, defaults and help stand there alone."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner
from typing_extensions import Doc

from photoz_models.training_settings import Settings
from photoz_run.afar_settings import AfarConfig
from photoz_run.cli import photoz
from photoz_run.cli import release as release_command
from photoz_run.cli import run as run_command
from photoz_run.cli import train as train_command
from photoz_run.cli import validate as validate_command
from photoz_run.cli.console import Command
from photoz_run.cli.options import SPECTRA, Shown, from_record, settings
from photoz_run.config import ClusterConfig, RunConfig
from photoz_run.errors import ConfigError
from photoz_run.release.options import ReleaseOptions
from photoz_run.training.settings import Recipe
from photoz_run.validation.settings import SpecSettings, ValidationSettings

DERIVED = [
    ("run", RunConfig, run_command.RUN),
    ("run", ClusterConfig, run_command.CLUSTER),
    ("run", AfarConfig, run_command.AFAR),
    ("run", run_command.WorkerJob, run_command.JOB),
    ("release", ReleaseOptions, release_command.RELEASE),
    ("train", Settings, train_command.TRAINING),
    ("train", Recipe, train_command.RECIPE),
    ("train", RunConfig, train_command.SURVEY),
    ("train", SpecSettings, SPECTRA),
    ("validate", SpecSettings, SPECTRA),
    ("validate", ValidationSettings, validate_command.VALIDATION),
]
COMMANDS = {"photoz-run": typer.main.get_command(run_command.command_line())}
GROUP = typer.main.get_command(photoz.app)
COMMANDS |= {f"photoz {name}": command for name, command in GROUP.commands.items()}
COMMANDS |= {
    f"photoz model {name}": part for name, part in GROUP.commands["model"].commands.items()
}


@dataclasses.dataclass(frozen=True)
class Record:
    name: Annotated[str, Doc("name of the thing")]
    parts: Annotated[tuple[Path, ...], Doc("its parts")] = ()
    forms: Annotated[tuple[str, ...], Doc("red, green, or both")] = ("red",)
    order: Annotated[Literal["up", "down"], Doc("up or down")] = "up"
    width: Annotated[float | None, Doc("its width")] = None
    number: Annotated[int, Doc("how many")] = 3
    loud: Annotated[bool, Doc("say more")] = False


SHOWN = {
    "name": Shown("NAME"),
    "parts": Shown("PART..."),
    "forms": Shown(comma=True),
    "order": Shown(),
    "width": Shown("CM"),
    "number": Shown(option="--how-many"),
    "loud": Shown(),
}


@pytest.fixture
def typed():
    """Parse words as a command with the record's options; what the command is given."""
    taken = {}

    @from_record(Record, SHOWN)
    def command(own: bool = False, **given):
        """Do it."""
        taken.update(given, own=own)

    app = typer.Typer()
    app.command(cls=Command)(command)

    def parse(*words):
        taken.clear()
        outcome = CliRunner().invoke(app, list(words))
        assert outcome.exit_code == 0, outcome.output
        return taken if "--help" not in words else outcome.output

    return parse


def test_what_is_not_given_is_absent(typed):
    assert typed() == {"own": False}


def test_each_value_has_the_type_of_its_field(typed):
    words = (
        "--name n --parts a b --forms red,green --order down --width 2.5 --how-many 4 --loud --own"
    )
    assert typed(*words.split()) == {
        "name": "n",
        "parts": (Path("a"), Path("b")),
        "forms": ("red", "green"),
        "order": "down",
        "width": 2.5,
        "number": 4,
        "loud": True,
        "own": True,
    }


def test_the_help_says_what_the_field_says_and_its_default(typed):
    text = " ".join(re.sub("[│╭╮╰╯─]", " ", typed("--help")).split())
    for sentence in (
        "--name NAME Name of the thing.",
        "--parts PART... Its parts.",
        "red, green, or both (default: red).",
        "--order up|down Up or down (default: up).",
        "--width CM Its width.",
        "--how-many N How many (default: 3).",
        "--loud Say more.",
    ):
        assert sentence in text


@pytest.mark.parametrize(("command", "record", "shown"), DERIVED)
def test_every_option_of_a_command_has_the_help_of_its_field(command, record, shown):
    options = {param.name: param for param in GROUP.commands[command].params}
    fields = settings(record)
    for name in shown:
        assert fields[name].help
        assert fields[name].help[1:] in options[name].help


def test_a_value_below_the_least_one_of_its_field_is_refused():
    outcome = CliRunner().invoke(photoz.app, ["train", "--epochs", "0"])
    assert outcome.exit_code == 2
    assert "greater than or equal to 1" in outcome.output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_keeps_within_80_columns_and_shows_no_type_of_python(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)
    command = COMMANDS[name]
    context = command.context_class(command, info_name=name, help_option_names=["--help", "-h"])
    runner = CliRunner()
    outcome = runner.invoke(_app(name), [*name.split()[1:], "-h"])
    assert outcome.exit_code == 0
    lines = outcome.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert "<bool>" not in outcome.output
    assert all(param.help for param in command.get_params(context)), name


def _app(name):
    return run_command.command_line() if name == "photoz-run" else photoz.app


def test_a_value_that_its_record_refuses_ends_in_one_line(tmp_path):
    words = ["train", "--set", str(tmp_path), "--out", str(tmp_path / "x.onnx"), "--split", "row"]
    outcome = CliRunner().invoke(photoz.app, words)
    assert isinstance(outcome.exception, ConfigError)
    assert str(outcome.exception) == "--split: Input should be 'galaxy' or 'tile' (got 'row')"
