"""What the shipped bundle must be: small, sealed, honest about itself."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from photoz_models import BUNDLED
from photoz_models.golden import golden_inputs
from photoz_models.independence import BATCH
from photoz_models.session import PhotozModel

BUNDLES = sorted(BUNDLED.glob("*.onnx"))


@pytest.fixture(scope="module", params=BUNDLES, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


def test_there_is_a_bundle():
    assert [path.stem for path in BUNDLES] == ["hybrid-sim"]


def test_it_gives_its_golden_values_here_in_one_small_file(path):
    model = PhotozModel.load(path, provider="cpu", threads=1)
    assert path.stat().st_size < 10e6
    assert all(
        not tensor.external_data
        for tensor in onnx.load(path, load_external_data=False).graph.initializer
    )
    assert model.contract.name == path.stem
    assert model.contract.multiply_adds <= 30e6


def test_contract_and_card_say_that_it_is_simulated_and_what_was_measured(path):
    contract = PhotozModel.load(path, provider="cpu", threads=1).contract
    card = path.with_suffix(".md").read_text()
    assert contract.training.simulated
    assert "Not for science" in card
    assert f"version {contract.version}" in card
    assert f"{contract.training.number:,} galaxies" in card
    metrics = contract.test_metrics
    assert f"{metrics['smad']:.5f} ± {metrics['smad_error']:.5f}" in card
    assert metrics["number"] >= 10_000
    assert metrics["coverage_68"] == pytest.approx(0.68, abs=0.015)
    assert metrics["coverage_95"] == pytest.approx(0.95, abs=0.015)


def test_pixels_of_another_zero_point_are_outside_its_domain(path):
    model = PhotozModel.load(path, provider="cpu", threads=1)
    stamps_NCHW, magnitudes_NB = golden_inputs(3, 30, 4, 9, 36, len(model.contract.seeing_bands))
    right, wrong = (
        np.median(model.predict(stamps_NCHW * scale, magnitudes_NB)[2]) for scale in (1.0, 100.0)
    )
    assert wrong > 2 * right
    assert wrong > 1


def test_what_it_gives_for_a_source_does_not_depend_on_the_order_of_its_batch(path):
    model = PhotozModel.load(path, provider="cpu", threads=1)
    inputs = golden_inputs(5, BATCH, 4, 9, 36, len(model.contract.seeing_bands))
    outputs = model.predict(*inputs)
    for seed in range(3):
        order_N = np.random.default_rng(seed).permutation(BATCH)
        again = model.predict(*(array[order_N] for array in inputs))
        for one, other in zip(outputs, again, strict=True):
            np.testing.assert_array_equal(one[order_N], other)


def test_no_weight_is_so_small_that_processors_are_slow_with_it(path):
    least = np.finfo(np.float32).tiny
    for tensor in onnx.load(path).graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.dtype == np.float32:
            size = np.abs(weights)
            assert not ((size > 0) & (size < least)).any(), tensor.name
