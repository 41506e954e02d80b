"""What networks and their sealed graphs promise, on random data and small architectures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from photoz_models.contract import QUANTILE_LEVELS, ModelContract
from photoz_models.errors import BundleError
from photoz_models.examples import Examples, split_examples
from photoz_models.export import Label, export, seal
from photoz_models.golden import golden_inputs
from photoz_models.inputs import Completion, Stretch, fit_scales
from photoz_models.network import (
    ARCHITECTURES,
    Architecture,
    PhotozNetwork,
    multiply_adds,
)
from photoz_models.session import PhotozModel
from photoz_models.training import evaluate
from support.galaxies import toy_examples, with_seeing

TINY = Architecture("tiny", stamp_size=12, stem=(8, 6, 2), halved=16, widths=(20,), dense=16)
BLOCK = 16
"""Channels that ONNX Runtime computes at once on processors with AVX-512."""
LABEL = Label("tiny", "1", "2026-01-01", "none", 0, "galaxy", "MIT")


def untrained(architecture: Architecture, seed: int) -> PhotozNetwork:
    """Random weights, in the head, too: every output depends on the inputs."""
    torch.manual_seed(seed)
    network = PhotozNetwork(architecture)
    torch.nn.init.normal_(network.head.linear.weight, std=0.3)
    examples = toy_examples(1500).narrowed(architecture.image_bands, architecture.columns)
    network.set_scales(fit_scales(examples.stamps_NCHW, examples.table_NT, examples.z_N, 0.99))
    return network.eval()


@pytest.fixture(scope="module")
def sealed_file(tmp_path_factory) -> tuple[Path, list[PhotozNetwork]]:
    examples = toy_examples(1500)
    split = split_examples(examples, 1, "galaxy")
    networks = [untrained(TINY, seed) for seed in (1, 2)]
    path = tmp_path_factory.mktemp("bundle") / "tiny.onnx"
    export(seal(networks, examples, split), examples, split, LABEL, {"smad": 0.5}, path)
    return path, networks


def seeing_known(examples: Examples) -> Examples:
    seeing_NS = np.random.default_rng(9).uniform(0.6, 1.0, (len(examples), 2)).astype(np.float32)
    return with_seeing(examples, ("r", "u"), seeing_NS)


def test_seeing_is_read_after_the_magnitudes_and_may_be_unknown(tmp_path):
    examples = seeing_known(toy_examples(1500))
    split = split_examples(examples, 1, "galaxy")
    torch.manual_seed(0)
    network = PhotozNetwork(replace(TINY, columns=examples.facts.columns))
    torch.nn.init.normal_(network.head.linear.weight, std=0.3)
    network.set_scales(fit_scales(examples.stamps_NCHW, examples.table_NT, examples.z_N, 0.99))
    contract = export(
        seal([network.eval()], examples, split),
        examples,
        split,
        LABEL,
        {},
        tmp_path / "seeing.onnx",
    )
    assert (contract.magnitude_bands, contract.seeing_bands) == (
        examples.facts.rule.magnitude_bands,
        ("r", "u"),
    )
    assert "seeing" in contract.domain.meaning
    model = PhotozModel.load(tmp_path / "seeing.onnx", provider="cpu", threads=1)
    stamps_NCHW, table_NT = golden_inputs(3, 30, 4, 9, 12, 2)
    np.testing.assert_array_equal(table_NT[::3, :9], golden_inputs(3, 30, 4, 9, 12)[1][::3])
    known_z_N = model.predict(stamps_NCHW, table_NT)[0]
    better_NT = table_NT * np.where(np.arange(11) < 9, 1.0, 0.9).astype(np.float32)
    assert np.abs(model.predict(stamps_NCHW, better_NT)[0] - known_z_N).max() > 1e-5
    table_NT[:, 9:] = np.nan
    assert all(np.isfinite(part).all() for part in model.predict(stamps_NCHW, table_NT))
    with pytest.raises(
        BundleError, match=r"magnitudes has shape \(30, 9\), the contract asks for \(30, 11\)"
    ):
        model.predict(stamps_NCHW, table_NT[:, :9])


def test_seeing_far_from_that_of_the_training_set_is_out_of_its_domain(tmp_path):
    examples = seeing_known(toy_examples(1500))
    network = PhotozNetwork(replace(TINY, columns=examples.facts.columns))
    network.set_scales(fit_scales(examples.stamps_NCHW, examples.table_NT, examples.z_N, 0.99))
    rows_N = np.arange(200)
    assert np.median(evaluate(network, examples, rows_N)[2]) < 0.9
    examples.table_NT[:, 9] = 2.0
    assert np.median(evaluate(network, examples, rows_N)[2]) > 1
    examples.table_NT[:, 9] = np.nan
    assert np.median(evaluate(network, examples, rows_N)[2]) < 0.9


@pytest.mark.parametrize(
    ("bands", "reason"),
    [(("Y",), "seeing_bands: Y is no image band"), (("r", "r"), "a band is named twice")],
)
def test_seeing_is_that_of_image_bands_once_each(sealed_file, bands, reason):
    contract = PhotozModel.load(sealed_file[0], provider="cpu", threads=1).contract
    assert contract.seeing_bands == ()
    with pytest.raises(ValidationError, match=reason):
        ModelContract.model_validate({**contract.model_dump(), "seeing_bands": bands})


def test_one_file_holds_ensemble_preprocessing_and_calibration(sealed_file):
    path, networks = sealed_file
    model = PhotozModel.load(path, provider="cpu", threads=1)
    assert [file.name for file in path.parent.iterdir()] == ["tiny.onnx"]
    stamps_NCHW, magnitudes_NB = golden_inputs(3, 30, 4, 9, 12)
    z_N, _, domain_N = model.predict(stamps_NCHW, magnitudes_NB)
    with torch.inference_mode():
        members = [
            network(torch.as_tensor(stamps_NCHW), torch.as_tensor(magnitudes_NB))
            for network in networks
        ]
    mean_z_N = torch.stack([member[0] for member in members]).mean(0).numpy()
    inside = (z_N > 0.02) & (z_N < model.contract.z_max - 0.02)
    # The calibration moves all redshifts by the same share of 1 + z.
    moved_N = (z_N[inside] - mean_z_N[inside]) / (1 + mean_z_N[inside])
    assert inside.sum() > 3
    np.testing.assert_allclose(moved_N, moved_N[0], atol=1e-5)
    np.testing.assert_allclose(domain_N, members[0][2], rtol=1e-3)
    assert model.contract.network == "2 x tiny"
    assert model.contract.multiply_adds == 2 * multiply_adds(networks[0])


def test_the_mean_error_of_the_training_and_validation_galaxies_is_taken_off():
    examples = toy_examples(1500)
    split = split_examples(examples, 1, "galaxy")
    network = untrained(TINY, 1)
    torch.nn.init.normal_(network.head.linear.weight, std=0.01)
    network.head.z_mean += 0.03
    rows_N = np.concatenate([split.train_N, split.validation_N])
    assert np.mean(evaluate(network, examples, rows_N)[0] - examples.z_N[rows_N]) > 0.02
    sealed = seal([network], examples, split)
    assert abs(np.mean(evaluate(sealed, examples, rows_N)[0] - examples.z_N[rows_N])) < 1e-5


def test_the_file_tells_nothing_of_the_machine_that_wrote_it(sealed_file):
    content = sealed_file[0].read_bytes()
    assert str(Path(torch.__file__).parent).encode() not in content
    assert b"site-packages" not in content
    assert b".py" not in content


def test_quantiles_never_cross_whatever_comes_in(sealed_file):
    model = PhotozModel.load(sealed_file[0], provider="cpu", threads=1)
    dice = np.random.default_rng(5)
    stamps_NCHW = (
        10 ** dice.uniform(-14, 0, (200, 4, 12, 12)) * dice.choice([-1, 1], (200, 4, 12, 12))
    ).astype("f4")
    stamps_NCHW[dice.random(stamps_NCHW.shape) < 0.2] = np.nan
    magnitudes_NB = dice.uniform(5, 35, (200, 9)).astype("f4")
    magnitudes_NB[dice.random((200, 9)) < 0.3] = np.nan
    z_N, quantiles_NQ, domain_N = model.predict(stamps_NCHW, magnitudes_NB)
    assert np.isfinite(z_N).all()
    assert np.isfinite(domain_N).all()
    assert (np.diff(quantiles_NQ, axis=1) >= 0).all()
    assert quantiles_NQ.min() >= model.contract.z_min
    assert quantiles_NQ.max() <= model.contract.z_max


def test_every_kind_of_gap_gives_a_finite_redshift(sealed_file):
    model = PhotozModel.load(sealed_file[0], provider="cpu", threads=1)
    stamps_NCHW, magnitudes_NB = golden_inputs(4, 3, 4, 9, 12)
    complete = stamps_NCHW[:1], magnitudes_NB[:1]
    for band in range(4):
        without = complete[0].copy()
        without[:, band] = np.nan
        assert all(np.isfinite(part).all() for part in model.predict(without, complete[1]))
    nothing = np.full_like(complete[0], np.nan), np.full_like(complete[1], np.nan)
    for gap in ((nothing[0], complete[1]), (complete[0], nothing[1]), nothing):
        assert all(np.isfinite(part).all() for part in model.predict(*gap))


def test_a_batch_of_one_gives_what_a_batch_of_many_gives(sealed_file):
    model = PhotozModel.load(sealed_file[0], provider="cpu", threads=1)
    stamps_NCHW, magnitudes_NB = golden_inputs(6, 64, 4, 9, 12)
    together = model.predict(stamps_NCHW, magnitudes_NB)
    for row in (0, 17, 63):
        alone = model.predict(stamps_NCHW[row : row + 1], magnitudes_NB[row : row + 1])
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], many[row], atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("missing", [99.0, -99.0, np.inf, np.nan])
def test_all_spellings_of_a_missing_magnitude_mean_the_same(missing):
    network = untrained(TINY, 1)
    stamps_NCHW, magnitudes_NB = (torch.as_tensor(part) for part in golden_inputs(4, 1, 4, 9, 12))
    absent = magnitudes_NB.clone()
    absent[0, 4] = torch.nan
    spelled = magnitudes_NB.clone()
    spelled[0, 4] = missing
    with torch.inference_mode():
        assert torch.equal(network(stamps_NCHW, absent)[0], network(stamps_NCHW, spelled)[0])
        assert not torch.equal(
            network(stamps_NCHW, absent)[0], network(stamps_NCHW, magnitudes_NB)[0]
        )


def test_missing_features_get_their_conditional_mean_and_the_marginal_distance():
    dice = np.random.default_rng(0)
    values_NF = dice.normal(size=(5000, 6)) @ dice.normal(size=(6, 6)) + 3.0
    mean_F, deviation_F = values_NF.mean(0), values_NF.std(0)
    covariance_FF = np.cov((values_NF - mean_F) / deviation_F, rowvar=False)
    eigenvalues_F, vectors_FF = np.linalg.eigh(covariance_FF)
    completion = Completion(6)
    for name, value in (
        ("mean_F", mean_F),
        ("deviation_F", deviation_F),
        ("whitening_FF", vectors_FF / np.sqrt(eigenvalues_F)),
    ):
        getattr(completion, name).copy_(torch.as_tensor(value))
    known_F = np.array([True, False, True, True, False, True])
    row_F = (values_NF[7] - mean_F) / deviation_F
    known = np.ix_(known_F, known_F)
    expected = covariance_FF[np.ix_(~known_F, known_F)] @ np.linalg.solve(
        covariance_FF[known], row_F[known_F]
    )
    distance = np.sqrt(row_F[known_F] @ np.linalg.solve(covariance_FF[known], row_F[known_F]))

    completed_NF, _, distance_N = completion(
        torch.as_tensor(values_NF[7:8], dtype=torch.float32),
        torch.as_tensor(known_F[None], dtype=torch.float32),
    )

    np.testing.assert_allclose(completed_NF[0].numpy()[~known_F], expected, atol=2e-3)
    np.testing.assert_allclose(completed_NF[0].numpy()[known_F], row_F[known_F], atol=1e-5)
    assert float(distance_N[0]) == pytest.approx(distance, rel=1e-3)


def test_domain_distance_is_one_at_the_stated_share_and_large_far_away():
    examples = toy_examples(3000)
    network = untrained(TINY, 1)
    rows_N = np.arange(1500)
    inside = evaluate(network, examples, rows_N)[2]
    assert np.mean(inside <= 1) == pytest.approx(0.99, abs=0.01)
    shifted = replace(
        examples, table_NT=examples.table_NT + np.float32([3, -3, 3, -3, 3, -3, 3, -3, 3])
    )
    assert evaluate(network, shifted, rows_N)[2].min() > 3
    other_zero_point = replace(examples, stamps_NCHW=examples.stamps_NCHW * np.float32(100))
    assert np.median(evaluate(network, other_zero_point, rows_N)[2]) > 2


def test_stretch_is_asinh_of_flux_over_three_sigma_with_gaps_at_the_sky():
    stretch = Stretch(2, 12)
    stretch.set_noise(np.array([1e-12, 4e-12]))
    stamps_NCHW = np.random.default_rng(0).normal(0, 1e-10, (5, 2, 12, 12)).astype("f4")
    stamps_NCHW[1, 0, 2] = np.nan
    found, _, _, known_NC = stretch(torch.as_tensor(stamps_NCHW))
    flux_NCHW = stamps_NCHW.astype("f8") / np.array([3e-12, 12e-12])[:, None, None]
    assert flux_NCHW[np.isfinite(flux_NCHW)].min() < -30
    # No sky is darker than by 30 times its noise: what is, is cut off there.
    expected = np.nan_to_num(np.arcsinh(np.maximum(flux_NCHW, -10)))
    np.testing.assert_allclose(found.numpy(), expected, atol=5e-5)
    assert known_NC.all()


def test_apertures_measure_a_gaussian_of_known_flux_and_its_growth_whatever_is_missing_beside_it():
    stretch = Stretch(1, 36)
    stretch.set_noise(np.array([1e-12]))
    offset = np.arange(36) - 17.5
    radius2_HW = offset[:, None] ** 2 + offset**2
    stamp_HW = 3e-9 * np.exp(-radius2_HW / (2 * 3.0**2)) / (2 * np.pi * 3.0**2)
    _, flux_NC, growth_NG, _ = stretch(torch.as_tensor(stamp_HW, dtype=torch.float32)[None, None])
    # Two Gaussians: flux s^2 / (s^2 + 3^2), and noise s sqrt(pi) for unit noise per pixel.
    signal_K = np.array(
        [3e-9 * s**2 / (s**2 + 9) / (1e-12 * s * np.sqrt(np.pi)) for s in (3.5, 1.5, 2.5, 5.0)]
    )
    expected_K = np.arcsinh(signal_K / 3)
    assert float(flux_NC) == pytest.approx(expected_K[0], abs=1e-4)
    np.testing.assert_allclose(growth_NG[0, :3].numpy(), expected_K[1:] - expected_K[0], atol=1e-3)
    stamp_HW[::3] = np.nan
    _, thinned_NC, thinned_NG, known_NC = stretch(
        torch.as_tensor(stamp_HW, dtype=torch.float32)[None, None]
    )
    assert known_NC.all()
    np.testing.assert_allclose(thinned_NC.numpy(), flux_NC.numpy(), atol=0.03)
    np.testing.assert_allclose(thinned_NG.numpy(), growth_NG.numpy(), atol=0.1)


def test_apertures_shaped_like_the_source_measure_a_gaussian_as_apertures_of_their_product_do():
    stretch = Stretch(1, 36)
    stretch.set_noise(np.array([1e-12]))
    offset = np.arange(36) - 17.5
    stamp_HW = (
        3e-9 * np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 3.0**2)) / (2 * np.pi * 3.0**2)
    )
    _, flux_NC, growth_NG, _ = stretch(torch.as_tensor(stamp_HW, dtype=torch.float32)[None, None])
    light = 3.0**2 + 4 / 3  # two means over three pixels
    variance_K = 1 / (1 / np.array([light, light, 2 * light]) + 1 / np.array([4.0, 7.0, 9.0]) ** 2)
    expected_K = np.arcsinh(
        3e-9 * variance_K / (variance_K + 9) / (1e-12 * np.sqrt(np.pi * variance_K)) / 3
    )
    np.testing.assert_allclose(growth_NG[0, 5:].numpy() + float(flux_NC), expected_K, atol=0.01)


def test_colours_in_apertures_shaped_like_the_source_are_those_of_a_source_of_any_shape_and_place():
    dice = np.random.default_rng(5)
    stamps_NHW = np.zeros((20, 36, 36))
    for stamp_HW in stamps_NHW:
        for y, x, width in dice.uniform(8, 28, (6, 3)):
            offset = np.arange(36)
            stamp_HW += np.exp(-((offset[:, None] - y) ** 2 + (offset - x) ** 2) / (width / 3) ** 2)
    stretch = Stretch(2, 36)
    stretch.set_noise(np.array([1e-12, 1e-12]))
    stamps_NCHW = 1e-9 * np.stack([stamps_NHW, 2.5 * stamps_NHW], axis=1)
    _, flux_NC, growth_NG, _ = stretch(torch.as_tensor(stamps_NCHW, dtype=torch.float32))
    flux_NCK = (growth_NG.reshape(20, 2, -1) + flux_NC[:, :, None])[:, :, 5:]
    np.testing.assert_allclose((flux_NCK[:, 1] - flux_NCK[:, 0]).numpy(), np.log(2.5), atol=1e-4)


def test_the_growth_of_a_band_without_pixels_is_unknown_not_extreme():
    examples = toy_examples(1500)
    network = untrained(TINY, 1)
    stamps_NCHW = torch.as_tensor(examples.stamps_NCHW[:50]).clone()
    stamps_NCHW[:, 2] = float("nan")
    _, table_NF, _ = network.features(stamps_NCHW, torch.as_tensor(examples.magnitudes_NB[:50]))
    growth_NCK = table_NF[:, 3 * 13 :].reshape(50, 4, -1)
    assert torch.all(growth_NCK[:, 2] == 0)
    assert torch.isfinite(table_NF).all()
    assert float(growth_NCK[:, 0].abs().max()) <= 6


def test_multiply_adds_are_those_counted_by_hand():
    network = PhotozNetwork(replace(ARCHITECTURES["magnitudes9"], dense=10))
    assert multiply_adds(network) == 27 * 10 + 3 * 10 * 10 + 10 * (1 + len(QUANTILE_LEVELS))
    assert multiply_adds(PhotozNetwork(ARCHITECTURES["hybrid"])) <= 12e6


def test_the_image_branch_halves_the_image_and_has_the_four_branches_of_an_inception_module():
    stem, halving, inception, *_ = PhotozNetwork(TINY).image
    halved = halving(stem(torch.zeros(1, 4, 12, 12)))
    assert halved.shape == (1, 16, 3, 3)
    kernels = {m.kernel_size[0] for m in inception.modules() if isinstance(m, torch.nn.Conv2d)}
    assert kernels == {1, 3, 5}
    assert any(isinstance(m, torch.nn.MaxPool2d) for m in inception.modules())
    assert inception(halved).shape == (1, 20, 3, 3)


@pytest.mark.parametrize("name", ["hybrid", "images"])
def test_convolutions_of_the_image_branch_fill_whole_blocks_of_channels(name):
    image = PhotozNetwork(ARCHITECTURES[name]).image
    convolutions = [m for m in image.modules() if isinstance(m, torch.nn.Conv2d)]
    assert all(each.out_channels % BLOCK == 0 for each in convolutions)


def test_the_published_architecture_has_the_published_size():
    network = PhotozNetwork(ARCHITECTURES["hybrid-z"])
    assert multiply_adds(network) / 1e6 == pytest.approx(67, abs=1)
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(
        10.5, abs=0.1
    )


@pytest.mark.parametrize("name", ["magnitudes4", "magnitudes9", "images"])
def test_networks_without_images_or_magnitudes_are_bundles_too(name, tmp_path):
    architecture = replace(ARCHITECTURES[name], stamp_size=12, stem=(8, 6, 2), dense=8)
    if architecture.image_bands:
        architecture = replace(architecture, halved=16, widths=(20,))
    examples = toy_examples(1500)
    split = split_examples(examples, 1, "tile")
    export(
        seal([untrained(architecture, 1)], examples, split),
        examples,
        split,
        LABEL,
        {},
        tmp_path / "b.onnx",
    )
    model = PhotozModel.load(tmp_path / "b.onnx", provider="cpu", threads=1)
    assert model.contract.image_bands == architecture.image_bands
    in_bands = examples.narrowed(architecture.image_bands, architecture.columns)
    z_N, quantiles_NQ, _ = model.predict(in_bands.stamps_NCHW[:9], in_bands.table_NT[:9])
    assert z_N.shape == (9,)
    assert quantiles_NQ.shape == (9, len(QUANTILE_LEVELS))
