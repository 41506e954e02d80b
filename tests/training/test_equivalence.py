"""May one bundle stand in for another? A bundle beside itself, beside changed ones."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from photoz_models.contract import MAGNITUDES, OUTPUTS, STAMPS, write_contract
from photoz_models.documents import read_document
from photoz_models.golden import golden_inputs, record
from photoz_models.kept_sets import save_examples
from photoz_run.cli.model import app
from photoz_run.errors import ConfigError
from photoz_run.training.equivalence import Equivalence, differences
from support.bundles import GOLDEN_SEED, closed_form_bundle
from support.galaxies import toy_examples

LEVELS = (0.16, 0.5, 0.84)
NUMBER = 4000


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def changed_bundle(path: Path, constant: str, factor: float) -> None:
    """The closed-form bundle with one number changed, and golden values that are its own."""
    contract = closed_form_bundle(path, stamp_size=12)
    model = onnx.load(path)
    for value in model.graph.initializer:
        if value.name == constant:
            array = numpy_helper.to_array(value) * np.float32(factor)
            value.CopyFrom(numpy_helper.from_array(array, constant))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    stamps_NCHW, table_NT = golden_inputs(GOLDEN_SEED, 6, 4, 9, 12)
    outputs = session.run(list(OUTPUTS), {STAMPS: stamps_NCHW, MAGNITUDES: table_NT})
    onnx.save(model, path)
    own = contract.model_copy(update={"golden": record(GOLDEN_SEED, tuple(outputs))})
    write_contract(path, own, path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("equivalence")
    save_examples(toy_examples(NUMBER), folder / "set")
    closed_form_bundle(folder / "a.onnx", stamp_size=12)
    return folder


def test_a_bundle_may_stand_in_for_itself(folder):
    code, printed = call(
        "equivalence", folder / "a.onnx", folder / "a.onnx", "--set", folder / "set"
    )
    assert code == 0
    assert printed.splitlines()[-1].endswith(": may be used for a release")
    assert "4,000 simulated galaxies" in printed
    assert max(len(line) for line in printed.splitlines()[:-1]) <= 80


@pytest.mark.parametrize("factor", [1.001, 1.5])
def test_a_scaled_bundle_is_measured_and_judged(folder, tmp_path, factor):
    changed_bundle(tmp_path / "b.onnx", "slope", factor)
    words = [folder / "a.onnx", tmp_path / "b.onnx", "--set", folder / "set"]
    code, printed = call("equivalence", *words, "--json", tmp_path / "e.json")
    result = read_document(Equivalence, tmp_path / "e.json")
    # slope stands in 0.1 + 0.1 (g - r) + ..., so that all of z but the flux term grows with it.
    shift = (factor - 1) * 0.14 / 1.16 / result.figures.scatter
    assert result.figures.median_shift == pytest.approx(shift, rel=0.3)
    assert bool(result.beyond) == (code == 4) == (factor == 1.5)
    assert ("<-- beyond" in printed) == (factor == 1.5)
    assert result.first.digest != result.second.digest


def outputs_of(z_N: np.ndarray, distance_N: np.ndarray) -> tuple[np.ndarray, ...]:
    quantiles_NQ = z_N[:, None] + np.array([-0.02, 0.0, 0.02])
    return z_N, quantiles_NQ, distance_N


@pytest.fixture
def galaxies():
    dice = np.random.default_rng(3)
    z_spec_N = dice.uniform(0.1, 0.5, 20_000)
    z_N = z_spec_N + 0.02 * (1 + z_spec_N) * dice.normal(size=20_000)
    tile_N = np.array([f"t{k}" for k in dice.integers(30, size=20_000)])
    return z_spec_N, z_N, dice.uniform(0, 2, 20_000), tile_N


def test_shifts_are_in_units_of_the_scatter(galaxies):
    z_spec_N, z_N, distance_N, tile_N = galaxies
    new_z_N = z_N + 0.002 * (1 + z_N)
    figures = differences(
        outputs_of(z_N, distance_N), outputs_of(new_z_N, distance_N), z_spec_N, tile_N, LEVELS
    )
    assert figures.scatter == pytest.approx(0.02, rel=0.03)
    for name in ("median_shift", "shift_999", "largest_shift", "largest_quantile_shift"):
        assert getattr(figures, name) == pytest.approx(0.002 / figures.scatter, rel=1e-6)
    assert figures.bias_change == pytest.approx(0.1, rel=0.05)
    assert figures.domain_changed == figures.missing_changed == 0


def test_added_noise_grows_the_smad_in_squares(galaxies):
    z_spec_N, z_N, distance_N, tile_N = galaxies
    noise_N = 0.01 * (1 + z_N) * np.random.default_rng(4).normal(size=len(z_N))
    figures = differences(
        outputs_of(z_N, distance_N),
        outputs_of(z_N + noise_N, distance_N),
        z_spec_N,
        tile_N,
        LEVELS,
    )
    expected = np.hypot(1, 0.5) - 1
    assert figures.smad_growth == pytest.approx(expected, abs=4 * figures.smad_growth_error)
    assert 0 < figures.smad_growth_error < 0.02
    assert figures.coverage_change > 0.02


def test_lost_redshifts_and_changed_flags_are_counted(galaxies):
    z_spec_N, z_N, distance_N, tile_N = galaxies
    fewer_N, further_N = z_N.copy(), distance_N.copy()
    fewer_N[:20] = np.nan
    further_N[:100] = 3 - np.sign(distance_N[:100] - 1) * 3
    figures = differences(
        outputs_of(z_N, distance_N), outputs_of(fewer_N, further_N), z_spec_N, tile_N, LEVELS
    )
    assert figures.missing_changed == pytest.approx(20 / 20_000)
    assert figures.domain_changed == pytest.approx(100 / 20_000)
    assert figures.largest_shift == 0


def test_coverage_that_is_not_known_is_beyond_its_limit(folder, tmp_path):
    levels = (0.25, 0.5, 0.75)
    closed_form_bundle(tmp_path / "c.onnx", stamp_size=12, quantile_levels=levels)
    words = ["equivalence", tmp_path / "c.onnx", tmp_path / "c.onnx", "--set", folder / "set"]
    code, printed = call(*words)
    assert code == 4
    assert "1 figure is beyond the limits" in printed.splitlines()[-1]


def test_a_bundle_that_a_run_feeds_otherwise_never_stands_in(folder, tmp_path):
    closed_form_bundle(tmp_path / "b.onnx", stamp_size=12, dmag_applied=False)
    words = [folder / "a.onnx", tmp_path / "b.onnx", "--set", folder / "set"]
    with pytest.raises(ConfigError, match="fed otherwise, dmag_applied = True and False"):
        call("equivalence", *words)
    told = "b.onnx: the contract says dmag_applied = False, the set was made with True"
    assert told in call("compare", *words)[1]
    assert told in call("recalibrate", tmp_path / "b.onnx", "--with", folder / "set")[1]


def test_other_levels_and_few_galaxies_are_refused(folder, tmp_path):
    closed_form_bundle(tmp_path / "d.onnx", stamp_size=12, quantile_levels=(0.1, 0.5, 0.9))
    with pytest.raises(ConfigError, match="quantiles at other levels"):
        call("equivalence", folder / "a.onnx", tmp_path / "d.onnx", "--set", folder / "set")
    save_examples(toy_examples(500), tmp_path / "few")
    with pytest.raises(ConfigError, match="has 500 galaxies that are new to both bundles"):
        call("equivalence", folder / "a.onnx", folder / "a.onnx", "--set", tmp_path / "few")
