"""The table of the documentation: bundles beside peers, and the page."""

from pathlib import Path

import numpy as np
import pytest

from photoz_models.documents import read_document
from photoz_models.examples import split_examples
from photoz_models.kept_sets import save_examples
from photoz_models.training import Settings
from photoz_run.errors import ConfigError
from photoz_run.training.comparison import Comparison
from photoz_run.training.recipe import make_bundle
from photoz_run.training.settings import Recipe
from studies import comparison, peers
from studies.page import as_page
from support.galaxies import toy_examples, with_seeing

DOCS = Path(__file__).parents[2] / "docs"


def test_page_and_figures_of_the_documentation_agree():
    documented = read_document(Comparison, DOCS / "comparison.json")
    assert documented.rounded() == documented
    page = (DOCS / "comparison.md").read_text()
    for written, made in zip(page.splitlines(), as_page(documented).splitlines(), strict=True):
        # The speeds of the page were rounded once, from more digits.
        if written.startswith("| "):
            written, made = written.rpartition(" | ")[0], made.rpartition(" | ")[0]
        assert written == made


class Silent:
    def epoch(self, network, epoch): ...

    def batch(self, network, share): ...


def bundle_of(examples, network, epochs, out):
    recipe = Recipe(network=network, split="tile", settings=Settings(epochs=epochs))
    make_bundle(examples, recipe, out, None, Silent())


def test_peers_need_the_set_that_the_bundles_were_trained_on(tmp_path):
    save_examples(toy_examples(1500), tmp_path / "set")
    save_examples(toy_examples(1500, seed=9), tmp_path / "other")
    bundle_of(toy_examples(1500), "magnitudes4", 1, tmp_path / "four.onnx")
    with pytest.raises(
        ConfigError, match=r"other: this is not the set that the last bundle was trained on"
    ):
        comparison.compare_with_peers(
            [tmp_path / "four.onnx"], tmp_path / "set", tmp_path / "other"
        )


def test_the_table_is_written_with_peers_beside_it(tmp_path):
    examples = toy_examples(1500)
    save_examples(examples, tmp_path / "set")
    bundle_of(examples, "magnitudes9", 2, tmp_path / "nine.onnx")
    sets = ["--test", tmp_path / "set", "--training", tmp_path / "set"]
    out = ["--json", tmp_path / "t.json", "--markdown", tmp_path / "t.md"]
    comparison.main([str(word) for word in (tmp_path / "nine.onnx", *sets, *out)])
    rows = read_document(Comparison, tmp_path / "t.json").rows
    assert [row.name for row in rows] == [
        "scikit-learn gradient boosting",
        "scikit-learn perceptron",
        "nine",
    ]
    # Magnitudes know colour only: nobody can be better than the width, uniform over 0.1.
    assert all(0.015 < row.figures["sd"] < 0.04 for row in rows)
    assert (tmp_path / "t.md").read_text().count("\n| ") == 4


def seeing_known(examples):
    return with_seeing(examples, ("g", "i"), np.full((len(examples), 2), 0.8, np.float32))


def test_peers_of_the_magnitudes_do_not_read_the_seeing(monkeypatch):
    seen = []

    class Watching:
        def fit(self, features_NF, z_N):
            seen.append(features_NF)
            return self

        def predict(self, features_NF):
            seen.append(features_NF)
            return np.zeros(len(features_NF))

    monkeypatch.setattr(peers, "peers", lambda: (peers.Peer("watching", (Watching(),)),))
    examples = seeing_known(toy_examples(1200))
    peers.peer_rows(examples, split_examples(examples, 1, "galaxy"), examples, np.arange(300))
    assert {features_NF.shape[1] for features_NF in seen} == {9 + 8}
