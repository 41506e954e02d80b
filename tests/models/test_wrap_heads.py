"""Each head of a wrapped network gives the redshift and the quantiles of its distribution."""

from pathlib import Path
from statistics import NormalDist

import numpy as np
import onnx
import pytest

from photoz_models.contract import QUANTILE_LEVELS
from photoz_models.errors import BundleError
from photoz_models.golden import golden_inputs
from photoz_models.session import PhotozModel
from photoz_models.stamp_rule import MAGNITUDE_BANDS
from photoz_models.wrap import WrapSpec, wrap
from support.foreign import MEANS, NODE, SCALES, TRAINING, model_of
from support.galaxies import toy_examples

LEVELS = np.array(QUANTILE_LEVELS)
TABLE = golden_inputs(5, 30, 0, 9, 36)
WEIGHTS = {
    name: np.random.default_rng(seed).normal(0, 0.1, (9, columns)).astype(np.float32)
    for name, seed, columns in (("one", 1, 1), ("three", 2, 3), ("five", 4, 5), ("wide", 3, 3))
}


def spec(**fields) -> WrapSpec:
    base = {
        "name": "theirs",
        "licence": "none",
        "magnitude_input": "mags",
        "magnitude_mean": MEANS,
        "magnitude_scale": SCALES,
        "target": "z",
        "training": TRAINING,
    }
    return WrapSpec(**base | fields)


def table_model(path: Path, outputs: dict[str, str]) -> Path:
    """Outputs ``name`` = mags @ WEIGHTS[...], linear in the standardised magnitudes."""
    nodes = [NODE("MatMul", ["mags", key], [name]) for name, key in outputs.items()]
    shapes = {name: ("N", WEIGHTS[key].shape[1]) for name, key in outputs.items()}
    onnx.save(model_of(nodes, WEIGHTS, {"mags": ("N", 9)}, shapes), path)
    return path


def linear(key: str) -> np.ndarray:
    standard_NB = np.nan_to_num((TABLE[1] - np.array(MEANS)) / np.array(SCALES))
    return standard_NB @ WEIGHTS[key].astype(np.float64)


def wrapped(tmp_path: Path, outputs: dict[str, str], **fields):
    graph = table_model(tmp_path / "theirs.onnx", outputs)
    wrap(graph, spec(**fields), tmp_path / "bundle.onnx")
    model = PhotozModel.load(tmp_path / "bundle.onnx", "cpu", threads=1)
    return model, model.predict(*TABLE)


WIDE = {"z_min": -0.99, "z_max": 9.0}


@pytest.mark.parametrize("sigma_is", ["sigma", "variance", "log_sigma", "log_variance"])
@pytest.mark.parametrize("target", ["z", "log1pz"])
def test_a_gaussian_keeps_its_own_width(tmp_path, sigma_is, target):
    outputs = {"mean": "one", "width": "one"}
    if not sigma_is.startswith("log"):
        with pytest.raises(BundleError, match=r"quantiles decrease|no redshift|golden"):
            wrapped(tmp_path, outputs, head="gaussian", output="mean", sigma="width", **WIDE)
        return
    _, (z_N, quantiles_NQ, _) = wrapped(
        tmp_path,
        outputs,
        head="gaussian",
        output="mean",
        sigma="width",
        sigma_is=sigma_is,
        target=target,
        **WIDE,
    )
    mean_N1 = linear("one")
    sigma_N1 = np.exp(mean_N1 * (0.5 if sigma_is == "log_variance" else 1.0))
    steps_Q = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    expected_NQ, point_N = mean_N1 + sigma_N1 * steps_Q, mean_N1[:, 0]
    if target == "log1pz":
        expected_NQ, point_N = np.expm1(expected_NQ), np.expm1(point_N)
    np.testing.assert_allclose(quantiles_NQ, np.clip(expected_NQ, -0.99, 9), atol=1e-5)
    np.testing.assert_allclose(z_N, np.clip(point_N, -0.99, 9), atol=1e-5)


@pytest.mark.parametrize("point", ["median", "mean"])
def test_a_mixture_has_the_quantiles_of_its_distribution(tmp_path, point):
    outputs = {"weights": "three", "means": "wide", "widths": "wide"}
    _, (z_N, quantiles_NQ, _) = wrapped(
        tmp_path,
        outputs,
        head="mixture",
        output="means",
        sigma="widths",
        sigma_is="log_sigma",
        weights="weights",
        shares_are="logits",
        point=point,
        **WIDE | {"z_max": 20.0},
    )
    logits_NK, means_NK = linear("three"), linear("wide")
    weights_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(axis=1, keepdims=True)
    reached = np.empty_like(quantiles_NQ)
    for n, values_Q in enumerate(quantiles_NQ.astype(float)):
        parts = [
            [w * NormalDist(m, np.exp(m)).cdf(value) for value in values_Q]
            for w, m in zip(weights_NK[n], means_NK[n], strict=True)
        ]
        reached[n] = np.sum(parts, axis=0)
    inside = (quantiles_NQ > -0.99) & (quantiles_NQ < 20)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(
        reached[inside], np.broadcast_to(LEVELS, reached.shape)[inside], atol=1e-5
    )
    expected_N = quantiles_NQ[:, QUANTILE_LEVELS.index(0.5)]
    if point == "mean":
        expected_N = (weights_NK * means_NK).sum(axis=1)
    np.testing.assert_allclose(z_N, np.clip(expected_N, -0.99, 20), atol=1e-5)


def test_quantiles_keep_their_levels_and_do_not_cross(tmp_path):
    levels = (0.1, 0.4, 0.9)
    model, (z_N, quantiles_NQ, _) = wrapped(
        tmp_path, {"q": "three"}, head="quantiles", output="q", levels=levels, **WIDE
    )
    assert model.contract.quantile_levels == levels
    expected_NQ = np.sort(linear("three"), axis=1)
    assert (np.diff(linear("three"), axis=1) < 0).any()
    np.testing.assert_allclose(quantiles_NQ, np.clip(expected_NQ, -0.99, 9), atol=1e-5)
    median_N = 0.8 * expected_NQ[:, 1] + 0.2 * expected_NQ[:, 2]
    np.testing.assert_allclose(z_N, np.clip(median_N, -0.99, 9), atol=1e-5)


@pytest.mark.parametrize("point", ["median", "mean"])
def test_a_histogram_has_the_quantiles_of_its_bins(tmp_path, point):
    edges = np.array([0.0, 0.1, 0.15, 0.3, 0.6, 1.0])
    _, (z_N, quantiles_NQ, _) = wrapped(
        tmp_path,
        {"p": "five"},
        head="histogram",
        output="p",
        edges=tuple(edges),
        shares_are="logits",
        point=point,
    )
    share_NK = np.exp(linear("five"))
    share_NK /= share_NK.sum(axis=1, keepdims=True)
    reached_NE = np.hstack([np.zeros((30, 1)), np.cumsum(share_NK, axis=1)])
    expected_NQ = [np.interp(LEVELS, reached_E, edges) for reached_E in reached_NE]
    np.testing.assert_allclose(quantiles_NQ, expected_NQ, atol=1e-5)
    point_N = [np.interp(0.5, reached_E, edges) for reached_E in reached_NE]
    if point == "mean":
        point_N = share_NK @ ((edges[1:] + edges[:-1]) / 2)
    np.testing.assert_allclose(z_N, point_N, atol=1e-5)


def test_columns_of_one_output_are_a_head(tmp_path):
    graph = table_model(tmp_path / "theirs.onnx", {"all": "three"})
    parts = spec(head="gaussian", output="all[0]", sigma="all[1:2]", sigma_is="log_sigma", **WIDE)
    wrap(graph, parts, tmp_path / "bundle.onnx")
    model = PhotozModel.load(tmp_path / "bundle.onnx", "cpu", threads=1)
    z_N = np.clip(linear("three")[:, 0], -0.99, 9)
    np.testing.assert_allclose(model.predict(*TABLE)[0], z_N, atol=1e-5)


@pytest.mark.parametrize(
    ("outputs", "fields", "complaint"),
    [
        ({"z": "one", "sigma": "one"}, {}, r"also gives \['sigma'\]: say what they are"),
        ({"z": "three"}, {}, "'z' has 3 columns, a head 'z' wants 1"),
        ({"z": "three"}, {"output": "z[3]"}, "the output has 3 columns"),
        ({"z": "three"}, {"output": "z[b]"}, "columns are named as in"),
        ({"z": "three"}, {"output": "z[2:1]"}, "there are no such columns"),
        ({"z": "three"}, {"output": "y[0]"}, r"no 'y\[0\]' among the outputs"),
    ],
)
def test_a_sigma_of_its_own_is_never_passed_over(tmp_path, outputs, fields, complaint):
    graph = table_model(tmp_path / "theirs.onnx", outputs)
    with pytest.raises(BundleError, match=complaint):
        wrap(graph, spec(**{"output": "z", "scatter": 0.02} | fields), tmp_path / "bundle.onnx")
    wrap(
        table_model(tmp_path / "theirs.onnx", {"z": "one", "sigma": "one"}),
        spec(output="z", scatter=0.02, ignored_outputs=("sigma",)),
        tmp_path / "bundle.onnx",
    )


def test_calibration_gives_the_promised_coverage(tmp_path):
    examples = toy_examples(3000)
    weights_B = np.linalg.lstsq(
        np.hstack([examples.table_NT[:1000], np.ones((1000, 1))]), examples.z_N[:1000], rcond=None
    )[0]
    nodes = [
        NODE("MatMul", ["mags", "slope"], ["sum"]),
        NODE("Add", ["sum", "offset"], ["z"]),
    ]
    constants = {"slope": weights_B[:9, None].astype("f4"), "offset": weights_B[9:].astype("f4")}
    onnx.save(
        model_of(nodes, constants, {"mags": ("N", 9)}, {"z": ("N", 1)}), tmp_path / "theirs.onnx"
    )
    far = {"magnitude_scale": (1.0,) * 9, "magnitude_mean": (19.0,) * 9}
    plain = spec(output="z", scatter=0.2, standardised=False, **far, **WIDE)
    covered = {}
    for name, calibration in (("plain", None), ("calibrated", examples)):
        out = tmp_path / f"{name}.onnx"
        contract = wrap(tmp_path / "theirs.onnx", plain, out, calibration)
        model = PhotozModel.load(out, "cpu", threads=1)
        test = toy_examples(2000, seed=9)
        ends = [QUANTILE_LEVELS.index(level) for level in (0.16, 0.84)]
        low_N, high_N = model.predict(test.stamps_NCHW, test.table_NT)[1][:, ends].T
        covered[name] = np.mean((low_N <= test.z_N) & (test.z_N <= high_N))
        assert (contract.wrapped.calibrated_on == "toy") == (name == "calibrated")
    assert covered["plain"] > 0.99
    assert covered["calibrated"] == pytest.approx(0.68, abs=0.04)
    assert model.contract.magnitude_bands == MAGNITUDE_BANDS
