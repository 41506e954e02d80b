"""What a person at a terminal of 80 columns sees of the commands."""

import sys
from pathlib import Path

import pytest

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
