"""What a person at a terminal of 80 columns sees of the commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import rich.console
from typer.testing import CliRunner

from photoz_run.cli import photoz as photoz_module
from photoz_run.cli.run import command_line
from photoz_run.cli.tables import print_aligned
from photoz_run.wording import counted
from support.photoz import measure, photoz
from support.tiles import make_tile

PHOTOZ = Path(sys.executable).with_name("photoz")
"""The installed command: completion is asked of it."""


@pytest.fixture
def survey(tmp_path) -> Path:
    make_tile(tmp_path / "survey")
    return tmp_path / "survey"


def test_a_run_repeats_from_its_own_settings_in_any_folder(bundle, survey, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.onnx").write_bytes(bundle.read_bytes())
    assert measure(Path("survey"), Path("b.onnx"), Path("out")) == 0
    text = (tmp_path / "out" / "run.toml").read_text()
    for path in (survey, tmp_path / "b.onnx", tmp_path / "out"):
        assert f'"{path}"' in text
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    # The same run: nothing is measured again, nothing refused.
    assert photoz("run", "--config", "../out/run.toml", "--dry-run") == 0
    assert photoz("run", "--config", "../out/run.toml", "--workers", "1") == 0


def test_near_names_know_what_is_computed(bundle, survey, tmp_path, capsys):
    words = ["run", "--tiles", "all", "--data", survey, "--model", bundle, "--dry-run"]
    assert photoz(*words, "--select", "MAG_AUT_CALIB < 20") == 2
    assert "did you mean MAG_AUTO_CALIB" in capsys.readouterr().err
    assert photoz(*words, "--keep", "MAG_AUT_CALIB") == 2
    assert "did you mean MAG_AUTO?" in capsys.readouterr().err


def test_who_looks_for_a_plan_is_told_of_the_dry_run(capsys):
    assert photoz("plan", "--tiles", "all") == 2
    assert "Did you mean 'run --dry-run'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("show", "0.0", "-31.2"), ("train", "--specz", "spec.csv", "--out", "a.onnx")]
)
def test_commands_that_fetch_nothing_refuse_an_address(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("spec.csv").write_text("RA,DEC,Z\n0.0,-31.2,0.1\n")
    assert photoz(*words, "--data", "https://archive/dr5") == 2
    message = "https://archive/dr5 is far away, and files are fetched for runs alone: give a folder"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_words_are_completed(shell, tmp_path):
    """The installed command answers the script that --show-completion prints."""
    words = {"COMP_WORDS": "photoz rel", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "photoz rel"}
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    environment = {**os.environ, **words, **fish, "_PHOTOZ_COMPLETE": f"complete_{shell}"}
    done = subprocess.run([PHOTOZ], env=environment, capture_output=True, text=True, timeout=600)
    assert "release" in done.stdout
    assert "retry" not in done.stdout


def test_help_is_80_columns_wide_and_offers_completion(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for app in (photoz_module.app, command_line()):
        shown = CliRunner().invoke(app, ["-h"]).output
        assert "--install-completion" in shown
        assert max(map(len, shown.splitlines())) <= 80
    names = [command.__name__ for command in photoz_module.COMMANDS]
    for words in (*([name] for name in names), ["model"], ["model", "show"], ["model", "wrap"]):
        outcome = CliRunner().invoke(photoz_module.app, [*words, "-h"])
        assert outcome.exit_code == 0
        assert max(map(len, outcome.output.splitlines())) <= 80


def test_shipped_models_go_by_their_names(capsys):
    assert photoz("model", "show", "hybrid-sim") == 0
    assert "hybrid-sim, version" in capsys.readouterr().out
    assert photoz("model", "verify", "hybrid-sim", "--provider", "cpu") == 0
    assert photoz("model", "show", "hybrid") == 2
    assert "no shipped model of this name (shipped: hybrid-sim)" in capsys.readouterr().err


def test_long_texts_are_wrapped_on_a_terminal_and_lines_elsewhere(monkeypatch, capsys):
    rows = [("PASS", "one", "word " * 30), ("FAIL", "longer name", "a" * 90)]
    print_aligned(rows)
    assert capsys.readouterr().out == (
        f"PASS  one          {('word ' * 30).strip()}\nFAIL  longer name  {'a' * 90}\n"
    )
    monkeypatch.setattr(rich.console.Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "80")
    print_aligned(rows)
    lines = capsys.readouterr().out.splitlines()
    assert [len(line) <= 80 for line in lines] == [True, True, True, False]
    assert lines[1].startswith(" " * 19 + "word")
    # What has no place to break stays whole, so that it can be copied.
    assert lines[3].endswith("a" * 90)


def test_what_is_done_is_said_to_be_done(bundle, survey, tmp_path, capsys):
    assert measure(survey, bundle, tmp_path / "run") == 0
    capsys.readouterr()
    assert photoz("status", tmp_path / "run") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert ": 1 tile (1 DONE), " in first
    assert second.strip() == "every tile has ended"
    assert photoz("retry", tmp_path / "run") == 0
    assert "there is nothing to readmit" in capsys.readouterr().out
    assert photoz("release", tmp_path / "run", "--out", tmp_path / "release", "--quiet") == 0
    said = capsys.readouterr().out
    assert " in 1 tile, " in said
    table = said.partition(" in 1 tile, ")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert photoz("status", tmp_path / "nowhere") == 2
    assert "Errno" not in capsys.readouterr().err


def test_one_of_a_thing_is_said_in_the_singular():
    assert counted(1, "tile") == "1 tile"
    assert counted(0, "tile") == "0 tiles"
    assert counted(2000, "galaxy", "galaxies") == "2,000 galaxies"


@pytest.mark.parametrize("word", ["flags", "--help"])
def test_who_reads_no_further_does_not_make_a_command_fail(word):
    """As in ``photoz flags | head -n 1``."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([PHOTOZ, word], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
