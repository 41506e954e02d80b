"""The check of a bundle on labelled galaxies names the mistake that was planted.

The planted ones are those of the published Hybrid-z scripts and their kin: order of the channels,
flux unit of a stretch with an epsilon, another scaler, stamps cut by truncation.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from photoz_models.kept_sets import save_examples
from photoz_models.session import PhotozModel
from photoz_models.wrap import WrapSpec, wrap
from photoz_run.cli.model import app
from photoz_run.errors import ConfigError
from photoz_run.simulation.conditions import EXTINCTION_PER_EBV
from photoz_run.training.comparison import other_stamps
from photoz_run.training.readings import AS_WRAPPED, check_bundle, shifted
from support.foreign import NODE, TRAINING, model_of
from support.galaxies import BANDS, toy_examples

SIZE = 12
EPSILON = 1e-8
EXTINCTION_B = np.array([EXTINCTION_PER_EBV[band] for band in BANDS])
TOY = toy_examples(2500, seed=3)
LABELLED = toy_examples(900, seed=8)


def stretched(stamps_NCHW, flux_scale):
    x_NCHW = stamps_NCHW.astype(np.float64) * flux_scale
    low, high = np.percentile(x_NCHW, (2, 98), axis=(2, 3), keepdims=True)
    return np.clip((x_NCHW - low) / (high - low + EPSILON), 0, 1)


def fitted(
    path: Path, stamps_NCHW, magnitudes_NB, target_N, flux_scale=1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Fit z, linear in stretched pixels and standardised magnitudes; the scaler that was used."""
    mean_B, scale_B = magnitudes_NB.mean(axis=0), magnitudes_NB.std(axis=0)
    pixels_NP = stretched(np.nan_to_num(stamps_NCHW), flux_scale).reshape(len(target_N), -1)
    standard_NB = (magnitudes_NB - mean_B) / scale_B
    design_NF = np.hstack([pixels_NP, standard_NB, np.ones((len(target_N), 1))])
    ridge_FF = 1e-3 * np.eye(design_NF.shape[1])
    weights_F = np.linalg.solve(design_NF.T @ design_NF + ridge_FF, design_NF.T @ target_N)
    weights_F = weights_F.astype(np.float32)
    nodes = [
        NODE("Flatten", ["img"], ["pixels"]),
        NODE("Concat", ["pixels", "mags"], ["all"], axis=1),
        NODE("Gemm", ["all", "weights", "offset"], ["z"]),
    ]
    constants = {"weights": weights_F[:-1, None], "offset": weights_F[-1:]}
    inputs = {"img": ("N", 4, SIZE, SIZE), "mags": ("N", 9)}
    onnx.save(model_of(nodes, constants, inputs, {"z": ("N", 1)}), path)
    return mean_B, scale_B


def planted(path: Path, mistake: str) -> Path:
    """A network that was trained on other than what its specification says."""
    stamps_NCHW, magnitudes_NB = TOY.stamps_NCHW, TOY.magnitudes_NB
    target_N, flux_scale = TOY.z_N, 1.0
    if mistake == "centring":
        stamps_NCHW = shifted(stamps_NCHW, -1, -1)
    if mistake == "channels":
        stamps_NCHW = stamps_NCHW[:, [0, 2, 3, 1]]
    if mistake == "flux unit":
        flux_scale = 1e9
    if mistake == "log(1+z)":
        target_N = np.log1p(target_N)
    if mistake == "extinction":
        magnitudes_NB = magnitudes_NB + 0.1 * EXTINCTION_B
    if mistake == "bands":
        magnitudes_NB = magnitudes_NB[:, ::-1]
    mean_B, scale_B = fitted(path, stamps_NCHW, magnitudes_NB, target_N, flux_scale)
    if mistake == "scaler":
        mean_B, scale_B = mean_B + 0.4, 1.3 * scale_B
    spec = WrapSpec(
        name="planted",
        licence="none",
        image_input="img",
        magnitude_input="mags",
        output="z",
        layout="NCHW",
        magnitude_mean=tuple(mean_B.tolist()),
        magnitude_scale=tuple(scale_B.tolist()),
        target="z",
        scatter=0.02,
        stamp_size=SIZE,
        z_max=2.0,
        dmag_applied=True,
        extinction_corrected=True,
        training=TRAINING,
    )
    bundle = path.with_name("bundle.onnx")
    wrap(path, spec, bundle)
    return bundle


@pytest.mark.parametrize(
    ("mistake", "name", "field"),
    [
        ("none", None, None),
        (
            "centring",
            "stamps start one pixel lower in x, one pixel lower in y",
            "floor(x - size/2)",
        ),
        ("channels", "image bands u r i g", "image_bands"),
        ("flux unit", "pixels x 1e", "flux_scale times 1e"),
        ("log(1+z)", "the output is log(1+z)", 'target = "log1pz"'),
        ("extinction", "magnitudes with extinction, E(B-V) 0.1", "not corrected for extinction"),
        ("bands", "magnitudes in reverse order", "magnitude_bands"),
        ("scaler", "magnitudes standardised by this set", "magnitude_mean and magnitude_scale"),
    ],
)
def test_a_planted_mistake_is_named(tmp_path, mistake, name, field):
    model = PhotozModel.load(planted(tmp_path / "theirs.onnx", mistake), "cpu", threads=1)
    verdict = check_bundle(model, LABELLED)
    if name is None:
        assert verdict.best is None
        assert AS_WRAPPED in [one.reading.name for one in verdict.tried]
        return
    assert verdict.best is not None
    assert verdict.best.reading.name.startswith(name)
    assert field in verdict.best.reading.field
    assert verdict.best.spread < verdict.wrapped.spread
    assert len(verdict.tried) > 50


def test_the_command_reports_and_fails_only_for_a_mistake(tmp_path):
    save_examples(toy_examples(400, seed=8), tmp_path / "set")
    run = CliRunner().invoke
    for mistake, code, words in (
        ("none", 0, "no reading fits better than the contract's: SMAD 0.0"),
        ("log(1+z)", 4, "fits better if the output is log(1+z): SMAD 0.0"),
    ):
        (tmp_path / mistake).mkdir()
        bundle = planted(tmp_path / mistake / "theirs.onnx", mistake)
        result = run(app, ["check", str(bundle), "--set", str(tmp_path / "set")])
        assert result.exit_code == code
        assert words in result.output
        assert "as wrapped" in result.output


def test_shifted_stamps_are_those_that_start_later():
    image_YX = np.arange(100.0).reshape(1, 1, 10, 10)
    stamp, later = image_YX[:, :, 2:8, 2:8], image_YX[:, :, 3:9, 1:7]
    moved = shifted(stamp, 1, -1)
    known = np.isfinite(moved)
    assert known.sum() == 25
    np.testing.assert_array_equal(moved[known], later[known])


def test_a_set_that_is_too_small_or_made_otherwise_is_told(tmp_path):
    model = PhotozModel.load(planted(tmp_path / "theirs.onnx", "none"), "cpu", threads=1)
    with pytest.raises(ConfigError, match="at least 200 are needed"):
        check_bundle(model, toy_examples(150))
    rule = LABELLED.facts.rule
    assert other_stamps(model.contract, LABELLED) == []
    other = rule.model_copy(update={"dmag_applied": False})
    made = replace(LABELLED, facts=replace(LABELLED.facts, rule=other))
    assert other_stamps(model.contract, made) == [
        "the contract says dmag_applied = True, the set was made with False"
    ]
    assert json.loads(model.contract.model_dump_json())["centring"] == "ceil(x - size/2)"
    assert replace(LABELLED.facts, rule=other).rule.centring == "ceil(x - size/2)"
