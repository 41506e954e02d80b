"""A bundle whose rows depend on each other is refused, in the words of its likely maker."""

import numpy as np
import onnx
import pytest

from photoz_models.errors import BundleError
from photoz_models.golden import Golden, golden_inputs
from photoz_models.independence import BATCH, arrangements
from photoz_models.session import PhotozModel
from support.foreign import sealed_file

WORDS = {
    "batch_mean": "in two parts; the graph takes a mean or another statistic over the batch",
    "batch_size": "a batch size is baked into the graph: export it with a free first axis",
    "batch_norm": "BatchNormalization is in training mode: export it for inference",
    "random": "computed once more; the graph draws random numbers",
}


def test_independent_rows_are_accepted(tmp_path):
    model = PhotozModel.load(sealed_file(tmp_path / "sound.onnx"), "cpu", threads=1)
    assert max(model.verify("here")) < 1e-6


@pytest.mark.parametrize("kind", WORDS)
def test_dependent_rows_are_refused_with_their_maker(tmp_path, kind):
    bundle = sealed_file(tmp_path / "spoilt.onnx", kind)
    with pytest.raises(BundleError) as refusal:
        PhotozModel.load(bundle, "cpu", threads=1)
    message = str(refusal.value)
    assert "\n" not in message
    assert message.startswith(f"{bundle}: ")
    assert "the redshift of a row depends on the rows beside it" in message
    assert WORDS[kind] in message


def test_activations_that_are_scaled_by_batch_are_refused(tmp_path):
    from onnxruntime.quantization import quantize_dynamic

    from support.foreign import seal_by_hand

    path = sealed_file(tmp_path / "sound.onnx")
    quantize_dynamic(path, tmp_path / "int8.onnx")
    seal_by_hand(tmp_path / "int8.onnx", "int8")
    with pytest.raises(BundleError, match=r"onnxruntime's quantize_dynamic .* use quantize_static"):
        PhotozModel.load(tmp_path / "int8.onnx", "cpu", threads=1)


def test_every_arrangement_holds_each_row_once():
    inputs = golden_inputs(7, 5, 2, 3, 4)
    laid = list(arrangements(inputs, golden_inputs(8, 4, 2, 3, 4)))
    assert len(laid) == 6
    for arrangement in laid:
        rows = np.concatenate([batch[1][places] for batch, places in arrangement.batches])
        np.testing.assert_array_equal(rows, inputs[1][arrangement.order_N])
        assert sorted(arrangement.order_N) == [0, 1, 2, 3, 4]
    assert [len(batch[1]) for batch, _ in laid[3].batches] == [1] * 5
    assert len(laid[4].batches[0][0][1]) == BATCH


GOLDEN = {
    "seed": 1,
    "number": 2,
    "z_N": (0.1, None),
    "quantiles_NQ": ((0.1,), (None,)),
    "domain_distance_N": (0.1, 0.2),
}


@pytest.mark.parametrize(
    "change",
    [
        {"number": -5},
        {"number": 10**15},
        {"number": 3},
        {"seed": -1},
        {"seed": 2**63},
        {"tolerance_z": 6e-5},
        {"tolerance_z": 1e9},
        {"tolerance_z": float("nan")},
        {"tolerance_z": -1e-9},
        {"tolerance_domain": 1e30},
        {"z_N": (None, None)},
        {"z_N": (0.1, float("inf"))},
        {"domain_distance_N": (0.1,)},
        {"quantiles_NQ": ((0.1,), (0.1, 0.2))},
    ],
    ids=str,
)
def test_a_bundle_cannot_loosen_its_own_check(tmp_path, change):
    Golden(**GOLDEN)
    bundle = sealed_file(tmp_path / "sound.onnx")
    import json

    graph = onnx.load(bundle)
    entry = next(entry for entry in graph.metadata_props if entry.key == "photoz_contract")
    contract = json.loads(entry.value)
    contract["golden"] = {**contract["golden"], **{**GOLDEN, **change}}
    entry.value = json.dumps(contract)
    onnx.save(graph, bundle)
    with pytest.raises(BundleError, match=r"sound\.onnx: the contract is not valid: golden"):
        PhotozModel.load(bundle, "cpu", threads=1)
