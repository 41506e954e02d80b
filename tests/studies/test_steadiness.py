"""What imperfect coadds cost: each perturbation is of its size, and the table says what it did."""

import json
from dataclasses import replace

import numpy as np
import pytest

from photoz_models import BUNDLED
from photoz_models.examples import Examples
from photoz_models.inputs import sky_noise
from photoz_models.kept_sets import load_examples
from photoz_run.simulation.settings import SimulationSettings
from studies import spoiled, steadiness
from studies.steadiness import Answers, line_of
from support.galaxies import toy_examples, with_seeing


@pytest.fixture(scope="module")
def examples() -> Examples:
    """2000 galaxies of 200 tiles with seeing in r and u."""
    toy = toy_examples(2000)
    tile_N = np.array([f"T{number // 10:03d}" for number in range(2000)])
    seeing_NS = np.full((2000, 2), 0.8, np.float32)
    return with_seeing(replace(toy, tile_N=tile_N), ("r", "u"), seeing_NS)


def test_seeing_is_wrong_by_tile_and_band(examples):
    after = spoiled.with_wrong_seeing(examples, 0.05)
    error_TNS = (after.seeing_NS / examples.seeing_NS - 1).reshape(200, 10, 2)
    assert np.ptp(error_TNS, axis=1).max() < 1e-6
    assert np.std(error_TNS[:, 0]) == pytest.approx(0.05, rel=0.15)
    assert abs(np.corrcoef(error_TNS[:, 0].T)[0, 1]) < 0.25
    np.testing.assert_array_equal(after.magnitudes_NB, examples.magnitudes_NB)
    assert np.isnan(spoiled.without_seeing(examples).seeing_NS).all()


def test_dmag_is_wrong_by_its_error_up_or_down(examples):
    after = spoiled.with_wrong_dmag(examples, 0.01)
    mag_NC = -2.5 * np.log10(after.stamps_NCHW[:, :, 5, 5] / examples.stamps_NCHW[:, :, 5, 5])
    np.testing.assert_allclose(np.abs(mag_NC), 0.01, atol=1e-5)
    assert abs(np.mean(mag_NC)) < 0.003


def test_sky_is_left_in_units_of_the_noise_of_a_pixel(examples):
    after = spoiled.with_sky(examples, 0.1)
    sky_NC = (after.stamps_NCHW - examples.stamps_NCHW)[:, :, 0, 0]
    expected_NC = np.broadcast_to(0.1 * sky_noise(examples.stamps_NCHW), sky_NC.shape)
    np.testing.assert_allclose(np.abs(sky_NC), expected_NC, rtol=0.05)


def test_wrong_positions_move_the_light_of_a_tile_by_their_error(examples):
    place = np.arange(12.0)
    stamp_HW = np.exp(-((place[:, None] - 5.5) ** 2 + (place - 5.5) ** 2) / 4)
    stamps_NCHW = np.broadcast_to(stamp_HW, examples.stamps_NCHW.shape).astype(np.float32)
    after = spoiled.with_wrong_positions(replace(examples, stamps_NCHW=stamps_NCHW), 0.1)
    light_NHW = np.nan_to_num(after.stamps_NCHW[:, 0])
    centre_N2 = np.stack(
        [
            np.average(np.broadcast_to(place, (2000, 12)), weights=light_NHW.sum(axis=axis), axis=1)
            for axis in (2, 1)
        ],
        axis=1,
    )
    shift_T2 = (centre_N2 - 5.5).reshape(200, 10, 2).mean(axis=1) * 0.2
    # 10 galaxies tell the shift of a tile to half a pixel / sqrt(10).
    size = np.sqrt(np.mean(np.sum(shift_T2**2, axis=1)))
    assert size == pytest.approx(np.hypot(0.1, np.sqrt(2) * 0.2 * 0.4 / np.sqrt(10)), rel=0.15)


def test_a_lost_band_has_neither_pixels_nor_seeing_and_a_lost_magnitude_is_one(examples):
    after = spoiled.without_band(examples, "r")
    assert np.isnan(after.stamps_NCHW[:, 2]).all()
    assert np.isfinite(after.stamps_NCHW[:, [0, 1, 3]]).all()
    assert np.isnan(after.seeing_NS).all(axis=0).tolist() == [True, False]
    without = spoiled.without_magnitude(examples, "Z")
    gone_B = np.isnan(without.magnitudes_NB).all(axis=0)
    assert np.flatnonzero(gone_B).tolist() == [examples.facts.rule.magnitude_bands.index("Z")]


def answered(error_N: np.ndarray) -> Answers:
    z_N = np.full(len(error_N), 0.25)
    phot_N = z_N + 1.25 * error_N
    tile_N = np.array([f"T{number % 50}" for number in range(len(error_N))])
    return Answers(phot_N, phot_N - 0.02, phot_N + 0.02, np.zeros(len(z_N)), z_N, tile_N)


def test_a_line_says_how_much_wider_and_how_far_aside_errors_are():
    error_N = np.random.default_rng(1).normal(0, 0.016, 5000)
    line = line_of("worse", answered(error_N), answered(1.1 * error_N + 0.002))
    assert line.smad_growth == pytest.approx(0.1, abs=1e-6)
    assert line.bias_change == pytest.approx(1.25 * (0.1 * error_N.mean() + 0.002), abs=1e-9)
    # The same galaxies twice: the growth is certain, whatever tiles are drawn.
    assert line.smad_growth_error < 0.002
    other_N = np.random.default_rng(2).normal(0, 0.016, 5000)
    assert line_of("others", answered(error_N), answered(other_N)).smad_growth_error > 0.01


def test_the_command_simulates_again_what_no_array_shows_and_writes_a_page(tmp_path, monkeypatch):
    small = SimulationSettings(size=400, density=60, data_release="DR4.0", seed=6)
    packed = replace(steadiness.SURVEYS[2], settings=small)
    assert packed.treat is steadiness.fpacked
    monkeypatch.setattr(steadiness, "AS_IT_IS", replace(steadiness.AS_IT_IS, settings=small))
    monkeypatch.setattr(steadiness, "SURVEYS", (packed,))
    monkeypatch.setattr(steadiness, "SPOILINGS", steadiness.SPOILINGS[:1])
    page, document = tmp_path / "page.md", tmp_path / "table.json"
    words = [BUNDLED / "hybrid-sim.onnx", "--work", tmp_path, "--tiles", 3, "--jobs", 1]
    words += ["--json", document, "--markdown", page]
    steadiness.main([str(word) for word in words])
    plain, lossy = (load_examples(tmp_path / name) for name in ("as-it-is", "packed"))
    same_NCHW = plain.stamps_NCHW[: len(lossy)]
    change = np.nanstd(lossy.stamps_NCHW - same_NCHW, axis=(0, 2, 3))
    # fpack's step is a quarter of the noise, which neighbours raise here.
    steps = change / (0.25 / np.sqrt(12) * sky_noise(same_NCHW))
    assert steps.min() > 0.3
    assert steps.max() < 1.1
    table = json.loads(document.read_text())
    assert [line["words"] for line in table["lines"]][-1] == packed.words
    assert f"| {packed.words} | " in page.read_text()
