"""The study of public tables, on a made-up one in a repository of its own."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photoz_models.documents import read_document
from photoz_run.errors import BadDataError
from studies.real_tables import page, peers
from studies.real_tables.page import RealTables, as_page
from studies.real_tables.sources import Source, fetch, galaxies_of
from studies.real_tables.study import NETWORK, Study, measured
from support.galaxies import toy_examples

DOCS = Path(__file__).parents[2] / "docs"
BANDS = {"g": "mag_g", "r": "mag_r", "i": "mag_i"}
ERRORS = {"g": "err_g", "r": "err_r", "i": "err_i"}


def git(folder, *words):
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    answer = subprocess.run(
        ["git", "-C", folder, *who, *words], check=True, stdout=subprocess.PIPE, text=True
    )
    return answer.stdout.strip()


def made_up_lines(number, seed):
    examples = toy_examples(number, seed=seed)
    columns = [*examples.magnitudes_NB[:, 1:4].T, *np.full((3, number), 0.01), examples.z_N]
    yield from (",".join(f"{value:.5f}" for value in row) for row in np.transpose(columns))
    # A star, a galaxy of poor quality and one without g.
    yield "18,17,17,0.1,0.1,0.1,0.0"
    yield "18,17,17,0.1,0.1,0.1,9.9"
    yield "-99.9,17,17,-99,0.1,0.1,0.2"


@pytest.fixture
def source(tmp_path) -> Source:
    repository = tmp_path / "repository"
    repository.mkdir()
    digests = {}
    for name, number, seed in (("train.csv", 1200, 1), ("eval.csv", 400, 2)):
        text = "#g;err\n" + "\n".join(made_up_lines(number, seed)) + "\n"
        (repository / name).write_text(text)
        digests[name] = hashlib.sha256(text.encode()).hexdigest()
    git(repository, "init", "--quiet")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "tables")
    git(repository, "config", "uploadpack.allowFilter", "true")
    return Source(
        name="made up",
        address=f"file://{repository}",
        commit=git(repository, "rev-parse", "HEAD"),
        files={"train.csv": digests["train.csv"]},
        evaluation={"eval.csv": digests["eval.csv"]},
        columns=(*BANDS.values(), *ERRORS.values(), "z"),
        bands=BANDS,
        errors=ERRORS,
        z="z",
        cut="z > 0.01 and z < 9",
        seeds=(1,),
        about="It is made up.",
    )


def test_rows_that_count_are_read_and_codes_are_missing(source, tmp_path):
    fetch(source, tmp_path / "work")
    galaxies = galaxies_of(source, source.files, tmp_path / "work")
    assert galaxies.magnitudes_NB.shape == (1201, 3)
    np.testing.assert_array_equal(np.isnan(galaxies.magnitudes_NB[-1]), [True, False, False])
    np.testing.assert_array_equal(np.isnan(galaxies.errors_NB[-1]), [True, False, False])
    assert np.isfinite(galaxies.magnitudes_NB[:-1]).all()
    np.testing.assert_allclose(galaxies.z_N[:1200], toy_examples(1200, seed=1).z_N, atol=1e-5)


def test_another_file_than_the_measured_one_is_refused(source, tmp_path):
    other = replace(source, files={"train.csv": "0" * 64})
    with pytest.raises(BadDataError, match=r"train\.csv is not the file that was measured"):
        fetch(other, tmp_path / "work")


def test_network_and_neighbours_are_measured_on_the_same_galaxies(source, tmp_path, monkeypatch):
    trained = ("--epochs", "6")
    study = Study(source, tmp_path / "work", sys.executable, (NETWORK, "kNN"), trained)
    table = measured(study)
    assert (table.train, table.validation, table.test) == (841, 180, 401)
    network, neighbours = table.lines
    assert [network.row.name, neighbours.row.name] == [NETWORK, "kNN"]
    assert network.ratio == 1
    assert network.ratio_error == 0
    ratio = neighbours.row.figures["smad"] / network.row.figures["smad"]
    assert neighbours.ratio == pytest.approx(ratio, abs=2e-4)
    assert neighbours.ratio_error > 0
    # Colour alone leaves the width, uniform over 0.1, unknown.
    assert 0.015 < neighbours.row.figures["sd"] < 0.04
    assert "coverage_68" in network.row.figures
    assert "coverage_68" not in neighbours.row.figures
    assert "neighbours" in neighbours.settings[0]
    # What is there is not made again.
    again = replace(study, peers_python="/no/such/python")
    assert measured(again) == table
    monkeypatch.setattr(page, "SOURCES", (source,))
    text = as_page(RealTables("c0ffee", "2026-01-01", {"torch": "2"}, (table,)))
    assert "\n| kNN | " in text
    assert f"    {source.evaluation['eval.csv']}  eval.csv" in text


def test_what_a_density_says_is_right_for_a_normal_one():
    grid_G = np.linspace(0, 1, 301)
    density_NG = np.exp(-0.5 * ((grid_G - 0.4) / 0.05) ** 2)[None]
    low, high = peers._quantiles(density_NG, grid_G, (0.16, 0.84))[0]
    assert low == pytest.approx(0.4 - 0.05 * 0.9945, abs=2e-4)
    assert high == pytest.approx(0.4 + 0.05 * 0.9945, abs=2e-4)
    for point, z_N in peers._points(density_NG, grid_G).items():
        assert z_N[0] == pytest.approx(0.4, abs=1e-3), point


def test_page_and_figures_of_the_documentation_agree():
    documented = read_document(RealTables, DOCS / "real-tables.json")
    assert (DOCS / "real-tables.md").read_text() == as_page(documented)
