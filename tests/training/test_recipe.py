"""From a kept set to a bundle and to the table of the comparison."""

import json
from dataclasses import replace

import numpy as np
import pytest

from photoz_models.documents import document_text, parse_document
from photoz_models.examples import split_examples
from photoz_models.kept_sets import save_examples
from photoz_models.network import ARCHITECTURES
from photoz_models.session import PhotozModel
from photoz_models.smoothing import smooth_redshifts
from photoz_models.training_settings import Settings
from photoz_run.errors import ConfigError
from photoz_run.training.comparison import (
    Comparison,
    as_markdown,
    colour_halves,
    compare_bundles,
    measure,
    predict,
    unseen,
    worst_lost_band,
)
from photoz_run.training.recipe import choose_architecture, make_bundle, plot_losses
from photoz_run.training.settings import Recipe
from support.galaxies import toy_examples, with_seeing

SETTINGS = Settings(epochs=3, batch=64, seed=5)


class Silent:
    def epoch(self, network, epoch): ...

    def batch(self, network, share): ...


ONE_TILE = np.full(4000, "tile")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    examples = toy_examples(3000)
    save_examples(examples, folder / "set")
    recipe = Recipe(
        network="magnitudes9",
        ensemble=2,
        split="tile",
        settings=SETTINGS,
        version="7",
        licence="MIT",
    )
    trained = make_bundle(examples, recipe, folder / "table.onnx", folder / "checkpoints", Silent())
    return folder, examples, trained


def test_the_contract_tells_set_recipe_and_test(made):
    folder, examples, _ = made
    contract = PhotozModel.load(folder / "table.onnx", provider="cpu", threads=1).contract
    assert contract.name == "table"
    assert contract.version == "7"
    assert contract.network == "2 x magnitudes9"
    assert contract.training.digest == examples.digest()
    assert contract.training.simulated
    assert contract.training.split == "tile"
    assert contract.training.seed == 5
    assert contract.test_metrics["number"] == len(split_examples(examples, 5, "tile").test_N)
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [
        "magnitudes9-5.pt",
        "magnitudes9-6.pt",
    ]


def test_the_comparison_judges_on_galaxies_that_were_never_trained_on(made):
    folder, examples, trained = made
    comparison = compare_bundles([folder / "table.onnx"], examples)
    model = PhotozModel.load(folder / "table.onnx", provider="cpu", threads=1)
    test_N = split_examples(examples, 5, "tile").test_N
    np.testing.assert_array_equal(unseen([model], examples), test_N)
    assert comparison.galaxies == len(test_N)
    # Recomputed here from torch's own test of the same galaxies.
    assert comparison.rows[0].figures["smad"] == pytest.approx(
        trained.contract.test_metrics["smad"], rel=1e-3
    )
    other = toy_examples(2000, seed=99)
    assert len(unseen([model], other)) == 2000


def test_the_table_has_plain_numbers_and_a_line_for_each_bundle(made):
    folder, examples, _ = made
    comparison = compare_bundles([folder / "table.onnx"], examples)
    text = document_text(comparison.rounded())
    assert parse_document(Comparison, text, "it") == comparison.rounded()
    [row] = json.loads(text)["rows"]
    assert row["name"] == "table"
    assert all(isinstance(value, int | float) for value in row["figures"].values())
    assert {"bias", "sd", "median", "smad", "outliers", "coverage_68", "coverage_95"} < set(
        row["figures"]
    )
    assert as_markdown(comparison.rows).count("| table |") == 1


def test_measured_statistics_are_those_of_the_formulas():
    dice = np.random.default_rng(0)
    true_N = dice.uniform(0.1, 0.5, 4000).astype("f4")
    z_N = (true_N + 0.003 + 0.02 * (1 + true_N) * dice.normal(size=4000)).astype("f4")
    levels = (0.025, 0.16, 0.84, 0.975)
    quantiles_NQ = (
        z_N[:, None]
        - 0.003
        + 0.02 * (1 + z_N[:, None]) * np.array([-1.96, -0.9945, 0.9945, 1.96], "f4")
    )
    figures = measure((z_N, quantiles_NQ, z_N), true_N, ONE_TILE, levels)
    x_N = (z_N - true_N) / (1 + true_N)
    assert figures["bias"] == pytest.approx(np.mean(z_N - true_N), rel=1e-4)
    assert figures["sd"] == pytest.approx(np.std(x_N), rel=1e-4)
    assert figures["smad"] == pytest.approx(1.4826 * np.median(abs(x_N - np.median(x_N))), rel=1e-4)
    assert figures["outliers"] == pytest.approx(np.mean(abs(x_N) > 0.05), abs=1e-6)
    assert figures["coverage_68"] == pytest.approx(0.68, abs=0.03)
    assert figures["coverage_95"] == pytest.approx(0.95, abs=0.015)
    # The standard error of a Gaussian's mean; dz here has 0.02 times 1 + z.
    assert figures["bias_error"] == pytest.approx(np.std(z_N - true_N) / np.sqrt(4000), rel=0.25)
    assert set(measure((z_N, quantiles_NQ[:, :1], z_N), true_N, ONE_TILE, (0.5,))) == {
        "number",
        *(
            f"{name}{error}"
            for name in ("bias", "sd", "median", "smad", "outliers")
            for error in ("", "_error")
        ),
    }


def test_the_loss_of_a_band_is_measured_and_a_useless_band_is_not_missed(made):
    folder, examples, _ = made
    model = PhotozModel.load(folder / "table.onnx", provider="cpu", threads=1)
    band, growth = worst_lost_band(model, examples, np.arange(500))
    assert band in model.contract.magnitude_bands
    assert 0.9 < growth < 2
    rows_N = np.array([3, 700, 42])
    everything_N = predict(model, examples, np.arange(800))[0]
    np.testing.assert_allclose(predict(model, examples, rows_N)[0], everything_N[rows_N], atol=1e-5)


def test_colour_halves_split_at_fixed_redshift():
    examples = toy_examples(2000)
    red_N = colour_halves(examples, np.arange(2000))
    colour_N = examples.magnitudes_NB[:, 1] - examples.magnitudes_NB[:, 3]
    assert red_N.mean() == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(colour_N, examples.z_N)[0, 1] > 0.5
    assert abs(examples.z_N[red_N].mean() - examples.z_N[~red_N].mean()) < 0.005


def test_a_spike_in_the_redshift_distribution_disappears_and_the_rest_stays():
    dice = np.random.default_rng(1)
    smooth_N = np.clip(dice.normal(0.25, 0.08, 20_000), 0.01, 0.6)
    spike_N = dice.uniform(0.180, 0.185, 1500)
    z_N = np.concatenate([smooth_N, spike_N]).astype("f4")
    kept_N = smooth_redshifts(z_N, seed=3)
    bins = np.arange(0.0, 0.6, 0.005)
    before, after = np.histogram(z_N, bins)[0], np.histogram(z_N[kept_N], bins)[0]
    at = np.searchsorted(bins, 0.1825) - 1
    neighbours = (after[at - 6 : at - 1].mean() + after[at + 2 : at + 7].mean()) / 2
    assert before[at] > 3 * neighbours
    assert after[at] < 1.25 * neighbours
    away = abs(bins[:-1] - 0.18) > 0.05
    assert after[away].sum() > 0.9 * before[away].sum()
    np.testing.assert_array_equal(kept_N, smooth_redshifts(z_N, seed=3))


def test_an_unknown_network_is_refused(tmp_path):
    recipe = Recipe(network="gru", settings=SETTINGS)
    with pytest.raises(ConfigError, match="network 'gru' is none of hybrid"):
        make_bundle(toy_examples(1200), recipe, tmp_path / "x.onnx", None, Silent())


def seeing_known(examples):
    return with_seeing(examples, ("g", "i"), np.full((len(examples), 2), 0.8, np.float32))


def test_networks_on_stamps_read_what_the_set_knows_of_the_seeing_and_others_do_not():
    plain = toy_examples(1200)
    examples, nine = seeing_known(plain), plain.facts.columns
    for name, bands in (("hybrid", nine), ("images", ())):
        assert choose_architecture(name, examples).columns == (
            *bands,
            "seeing_g",
            "seeing_i",
        )
        assert choose_architecture(name, plain).columns == bands
    for name in ("hybrid-z", "magnitudes9", "magnitudes"):
        assert choose_architecture(name, examples).columns == nine


def test_loss_curves_are_drawn(made, tmp_path):
    plot_losses(made[2].histories, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes()[:4] == b"\x89PNG"


def test_the_published_baselines_differ_in_bands_only():
    four, nine = ARCHITECTURES["magnitudes4"], ARCHITECTURES["magnitudes9"]
    assert replace(four, name=nine.name, columns=nine.columns) == nine
