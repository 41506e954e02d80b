"""The commands of docs/exporting.md are run, and the bundle is the network that was trained."""

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from photoz_models.golden import golden_inputs
from photoz_run.cli.model import app
from support.galaxies import toy_examples

PAGE = (Path(__file__).parents[2] / "docs" / "exporting.md").read_text()
HEAD, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
TEXTS = {section.partition("\n")[0]: section for section in SECTIONS}

MAKERS = {
    "PyTorch": "torch",
    "scikit-learn": "skl2onnx",
    "scikit-learn, classes": "skl2onnx",
    "LightGBM": "lightgbm",
    "XGBoost": "xgboost",
    "CatBoost": "catboost",
    "Keras": "keras",
    "Keras by tf2onnx": "tf2onnx",
    "JAX": "jax2onnx",
}
"""Sections of the page, and the package that each needs."""

BY_HAND = ("xgboost", "catboost", "keras", "tf2onnx", "jax2onnx")
"""Too large for each change: ``make test-exporters``."""


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def marked(maker: str):
    by_hand = MAKERS[maker] in BY_HAND
    return pytest.param(maker, marks=[pytest.mark.exporters] if by_hand else [])


def test_every_section_is_tested():
    assert list(TEXTS) == list(MAKERS)


@pytest.mark.parametrize("maker", [marked(maker) for maker in MAKERS])
def test_a_network_of_each_maker_is_wrapped_by_the_commands_of_the_page(
    tmp_path, monkeypatch, maker
):
    assert find_spec(MAKERS[maker]), f"{MAKERS[maker]} is not installed: make test-exporters"
    monkeypatch.chdir(tmp_path)
    (base,), (scaler, compare) = blocks(HEAD, "toml"), blocks(HEAD, "python")
    (lines,), (export,) = blocks(TEXTS[maker], "toml"), blocks(TEXTS[maker], "python")
    if "head =" in lines:
        base = base.replace("scatter = 0.02\n", "")
    Path("theirs.toml").write_text(lines + base)
    galaxies = toy_examples(300, size=36)
    magnitudes_NB = galaxies.magnitudes_NB.copy()
    if 'missing = "nan"' in lines:
        magnitudes_NB[np.random.default_rng(2).random(magnitudes_NB.shape) < 0.1] = np.nan
    names = {
        "magnitudes_NB": magnitudes_NB,
        "stamps_NCHW": galaxies.stamps_NCHW,
        "z_N": galaxies.z_N,
    }
    exec(scaler + export, names)

    for command in re.findall(r"^\$ photoz model (.*)$", blocks(HEAD, "console")[0], re.MULTILINE):
        result = CliRunner().invoke(app, command.split())
        assert result.exit_code == 0, result.output or result.exception

    if "image_input" not in lines:
        names["stamps_NCHW"] = golden_inputs(1, 300, 0, 9, 36)[0]
    exec(compare, names)
    difference_N = np.abs(names["z_N"] - np.clip(names["expected_N"], 0, 1))
    assert np.ptp(names["expected_N"]) > 0.01
    # A tree's threshold may fall between a number and its float32 neighbour.
    assert np.quantile(difference_N, 0.98) < 2e-6
    assert difference_N.max() < (0.05 if "forest" in export or "trees" in export else 2e-6)
