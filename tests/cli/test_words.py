"""Options with several values are spelled out for click; an argument is not swallowed."""

import pytest
import typer

from photoz_run.cli import photoz, run
from photoz_run.cli.words import Grammar, spread

RELEASE = Grammar(
    several=frozenset({"--keep", "--attach-columns"}),
    valued=frozenset({"--keep", "--attach-columns", "--out"}),
    arguments=1,
)


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("RUN --out D", "RUN --out D"),
        ("RUN --keep A B --out D", "RUN --keep A --keep B --out D"),
        ("RUN --keep=A B --out D", "RUN --keep A --keep B --out D"),
        ("RUN --out=D --keep=A", "RUN --out=D --keep A"),
        ("--keep A B RUN --out D", "--keep A --keep B RUN --out D"),
        ("--out D --keep A RUN", "--out D --keep A RUN"),
        ("--keep A RUN --attach-columns B --out D", "--keep A RUN --attach-columns B --out D"),
        ("--keep A --keep B RUN", "--keep A --keep B RUN"),
        ("--keep A B --out D RUN", "--keep A --keep B --out D RUN"),
        ("--keep A B -- RUN", "--keep A --keep B -- RUN"),
        ("RUN --keep -1 -2.5", "RUN --keep -1 --keep -2.5"),
        ("RUN --keep - A", "RUN --keep - --keep A"),
        ("RUN --out -x --keep A", "RUN --out -x --keep A"),
    ],
)
def test_each_value_gets_the_name_of_its_option(typed, spelled):
    assert spread(typed.split(), RELEASE) == spelled.split()


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("--keep A --out D", "--keep A --out D"),
        (
            "--keep A B --attach-columns C E",
            "--keep A --keep B --attach-columns C --attach-columns E",
        ),
        ("--keep --out D", "--keep --out D"),
    ],
)
def test_where_the_argument_cannot_be_told_click_says_what_is_missing(typed, spelled):
    assert spread(typed.split(), RELEASE) == spelled.split()


@pytest.mark.parametrize(
    ("command", "typed", "expected"),
    [
        ("release", "--keep X RUN --out D", {"run": "RUN", "keep": ["X"]}),
        ("release", "--out D --attach-columns X Y=Z RUN", {"run": "RUN"}),
        ("validate", "--specz A B CAT", {"catalogue": "CAT"}),
        ("retry", "--tiles 'A*' RUN", {"run": "RUN", "tiles": ["'A*'"]}),
        ("run", "--tiles=A B --data D", {"tiles": ["A", "B"]}),
        ("run", "--tiles A B --data D E --out O", {"tiles": ["A", "B"]}),
    ],
)
def test_the_real_commands_read_them_as_a_person_expects(command, typed, expected):
    part = typer.main.get_command(photoz.app).commands[command]
    context = part.make_context(command, typed.split())
    read = {name: value for name, value in context.params.items() if name in expected}
    assert {
        name: value if isinstance(value, list) else str(value) for name, value in read.items()
    } == expected


def test_photoz_run_reads_them_too():
    context = typer.main.get_command(run.command_line()).make_context(
        "photoz-run", ["--tiles=A", "B", "--data", "D", "--keep", "C"]
    )
    assert context.params["tiles"] == ["A", "B"]
    assert context.params["keep"] == ["C"]
