"""Two overlapping tiles and two more, a run over them without its faintest sources, a release."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.photoz import AGAIN, FIELD, OTHER, make_survey, measure, photoz
from support.runs import tile_file


@pytest.fixture(scope="session")
def survey(tmp_path_factory) -> Path:
    return make_survey(tmp_path_factory.mktemp("show") / "survey")


@pytest.fixture(scope="session")
def run(survey, bundle) -> Path:
    out = survey.parent / "run"
    assert measure(survey, bundle, out) == 0
    return out


@pytest.fixture(scope="session")
def release(run) -> Path:
    out = run.parent / "release"
    assert photoz("release", run, "--out", out, "--name", "demo") == 0
    return out


@pytest.fixture(scope="session")
def rows(run) -> dict[str, list[dict]]:
    """The rows of the run by tile."""
    return {tile: pq.read_table(tile_file(run, tile)).to_pylist() for tile in (FIELD, AGAIN, OTHER)}


@pytest.fixture
def shown(capsys, monkeypatch):
    """Run ``photoz show`` here: exit code, what it prints, and what it complains of."""
    monkeypatch.setenv("COLUMNS", "80")

    def show(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = photoz("show", *words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return show
