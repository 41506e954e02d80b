"""Somebody else's graph gives in a bundle what numpy gives outside."""

import textwrap
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from photoz_models.contract import QUANTILE_LEVELS, Training
from photoz_models.errors import BundleError
from photoz_models.golden import golden_inputs
from photoz_models.session import PhotozModel
from photoz_models.wrap import WrapSpec, wrap

WEIGHTS_HWC = np.random.default_rng(0).normal(0, 0.002, (12, 12, 4)).astype("f4")
WEIGHTS_B = np.random.default_rng(1).normal(0, 0.02, 9).astype("f4")
TRAINING = Training(
    set_name="theirs", digest="", simulated=False, number=1, date="", commit="", seed=0
)
SPEC = WrapSpec(
    name="foreign",
    licence="MIT",
    image_input="image",
    magnitude_input="table",
    output="dense",
    magnitude_mean=tuple(19.0 - 0.2 * k for k in range(9)),
    magnitude_scale=tuple(1.0 + 0.1 * k for k in range(9)),
    target="log1pz",
    scatter=0.02,
    stamp_size=12,
    training=TRAINING,
)


def foreign_graph(path: Path) -> Path:
    """log(1+z) = 0.2 + sum(w x) + m . v of images [N, H, W, C] and magnitudes [N, B], as [N, 1]."""
    weights = {
        "kernel": WEIGHTS_HWC.reshape(-1, 1),
        "v": WEIGHTS_B[:, None],
        "bias": np.float32([0.2]),
        "shape": np.int64([-1, 576]),
    }
    nodes = [
        helper.make_node("Reshape", ["image", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "kernel"], ["from_image"]),
        helper.make_node("MatMul", ["table", "v"], ["from_table"]),
        helper.make_node("Sum", ["from_image", "from_table", "bias"], ["dense"]),
    ]
    graph = helper.make_graph(
        nodes,
        "theirs",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 12, 12, 4]),
            helper.make_tensor_value_info("table", TensorProto.FLOAT, ["batch", 9]),
        ],
        [helper.make_tensor_value_info("dense", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), path
    )
    return path


def in_numpy(stamps_NCHW, magnitudes_NB, spec: WrapSpec):
    x_NCHW = np.nan_to_num(stamps_NCHW).astype("f8") * spec.flux_scale
    if spec.stretch == "percentile":
        low, high = np.percentile(x_NCHW, spec.percentiles, axis=(2, 3), keepdims=True)
        x_NCHW = np.clip((x_NCHW - low) / (high - low + spec.epsilon), 0, 1)
    m_NB = np.nan_to_num(
        (magnitudes_NB - np.array(spec.magnitude_mean)) / np.array(spec.magnitude_scale)
    )
    x_NHWC = x_NCHW.transpose(0, 2, 3, 1)
    y_N = 0.2 + (x_NHWC * WEIGHTS_HWC).sum(axis=(1, 2, 3)) + m_NB @ WEIGHTS_B
    return np.exp(y_N) - 1, np.abs(m_NB).max(axis=1) / 3


@pytest.mark.parametrize("flux_scale", [1.0, 1e10])
@pytest.mark.parametrize(
    "stretch", [{"percentiles": (2.0, 98.0)}, {"percentiles": (0.5, 99.9)}, {"stretch": "none"}]
)
def test_a_wrapped_graph_gives_what_numpy_gives(tmp_path, stretch, flux_scale):
    spec = SPEC.model_copy(update={**stretch, "flux_scale": flux_scale})
    wrap(foreign_graph(tmp_path / "theirs.onnx"), spec, tmp_path / "bundle.onnx")
    model = PhotozModel.load(tmp_path / "bundle.onnx", provider="cpu", threads=1)
    stamps_NCHW, magnitudes_NB = golden_inputs(8, 20, 4, 9, 12)

    z_N, quantiles_NQ, domain_N = model.predict(stamps_NCHW, magnitudes_NB)

    expected_N, distance_N = in_numpy(stamps_NCHW, magnitudes_NB, spec)
    assert np.ptp(expected_N) > 0.05
    np.testing.assert_allclose(z_N, np.clip(expected_N, 0, 1), atol=2e-5)
    np.testing.assert_allclose(domain_N, distance_N, atol=1e-5)
    assert (np.diff(quantiles_NQ, axis=1) >= 0).all()
    inside = (quantiles_NQ.min(axis=1) > 0) & (quantiles_NQ.max(axis=1) < 1)
    level = QUANTILE_LEVELS.index(0.84)
    np.testing.assert_allclose(
        (quantiles_NQ[inside, level] - z_N[inside]) / (1 + z_N[inside]), 0.02 * 0.99446, rtol=1e-3
    )


def test_the_stretch_depends_on_the_flux_unit_as_the_published_one_does(tmp_path):
    stamps_NCHW, magnitudes_NB = golden_inputs(8, 20, 4, 9, 12)
    in_maggies, in_nanomaggies = (
        in_numpy(stamps_NCHW, magnitudes_NB, SPEC.model_copy(update={"flux_scale": scale}))[0]
        for scale in (1.0, 1e9)
    )
    assert np.abs(in_maggies - in_nanomaggies).max() > 0.01


def test_the_specification_in_the_documentation_is_valid():
    page = (Path(__file__).parents[2] / "docs" / "model.md").read_text()
    block = page[page.index('    name = "hybrid-z"') :].partition("\n\nMissing")[0]
    spec = WrapSpec.model_validate(tomllib.loads(textwrap.dedent(block)))
    assert spec.target == "log1pz"
    assert len(spec.magnitude_mean) == len(spec.magnitude_bands)


def test_what_cannot_be_wrapped_is_refused_in_one_line(tmp_path):
    graph = foreign_graph(tmp_path / "theirs.onnx")
    for update, complaint in (
        ({"image_input": "picture"}, r"no 'picture'; inputs are \['image', 'table'\]"),
        ({"output": "z"}, r"outputs \['dense'\]"),
        ({"magnitude_mean": (19.0,)}, "one value for each of 9 magnitude bands"),
        ({"stamp_size": 20}, "the wrapped graph does not run"),
    ):
        with pytest.raises(BundleError, match=complaint):
            wrap(graph, SPEC.model_copy(update=update), tmp_path / "bundle.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(BundleError, match=r"text\.onnx: cannot be read as ONNX"):
        wrap(tmp_path / "text.onnx", SPEC, tmp_path / "bundle.onnx")
    assert not (tmp_path / "bundle.onnx").exists()
