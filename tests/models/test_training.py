"""What training, calibration, splitting and the set on disk promise."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photoz_models.calibration import level_matrix
from photoz_models.contract import QUANTILE_LEVELS
from photoz_models.errors import TrainingError
from photoz_models.examples import Examples, split_examples
from photoz_models.network import Architecture
from photoz_models.training import evaluate, gpu_here, learning_rate, loss_of, train
from photoz_models.training_settings import Settings
from support.galaxies import toy_examples

TINY = Architecture("tiny", stamp_size=12, stem=(8, 6, 2), halved=16, widths=(20,), dense=32)
QUICK = Settings(epochs=4, batch=64, seed=3)


def scatter(z_N, true_N):
    return float(np.std((z_N - true_N) / (1 + true_N)))


@pytest.fixture(scope="module")
def examples() -> Examples:
    return toy_examples(2500, seed=11)


def test_a_network_learns_colour_and_size_and_a_table_only_colour(examples):
    split = split_examples(examples, 1, "galaxy")
    true_N = examples.z_N[split.test_N]
    hybrid = evaluate(train(TINY, examples, split, QUICK)[0], examples, split.test_N)
    table = Architecture("table", image_bands=(), stamp_size=12, dense=32)
    in_bands = examples.narrowed((), table.columns)
    magnitudes = evaluate(train(table, examples, split, QUICK)[0], in_bands, split.test_N)
    assert scatter(hybrid[0], true_N) < 0.2 * scatter(magnitudes[0], true_N)
    # The width is uniform over 0.1 in z and no magnitude knows it.
    assert scatter(magnitudes[0], true_N) > 0.8 * 0.1 / np.sqrt(12) / 1.2


def test_a_resumed_training_ends_where_an_unbroken_one_ends(examples, tmp_path):
    split = split_examples(examples, 1, "galaxy")
    whole, history = train(TINY, examples, split, QUICK)

    def interrupt(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, examples, split, QUICK, tmp_path / "c.pt", interrupt)
    seen = []
    resumed, resumed_history = train(TINY, examples, split, QUICK, tmp_path / "c.pt", seen.append)
    assert [epoch.epoch for epoch in seen] == [3, 4]
    assert [epoch.epoch for epoch in resumed_history] == [epoch.epoch for epoch in history]
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_checkpoint_of_another_training_is_refused(examples, tmp_path):
    split = split_examples(examples, 1, "galaxy")
    short = QUICK.model_copy(update={"epochs": 1})
    train(TINY, examples, split, short, tmp_path / "c.pt")
    with pytest.raises(TrainingError, match=r"another epochs \(1, now 4\); remove it"):
        train(TINY, examples, split, QUICK, tmp_path / "c.pt")


def test_a_checkpoint_made_on_a_gpu_goes_on_without_one(examples, tmp_path, monkeypatch):
    split, path = split_examples(examples, 1, "galaxy"), tmp_path / "c.pt"

    def interrupt(epoch):
        raise KeyboardInterrupt

    # As torch writes tensors that lie on a GPU.
    monkeypatch.setattr("torch.serialization.location_tag", lambda _: "cuda:0")
    with pytest.raises(KeyboardInterrupt):
        train(TINY, examples, split, QUICK, path, interrupt)
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="on a CUDA device"):
        torch.load(path, weights_only=True)
    seen = []
    train(TINY, examples, split, QUICK, path, seen.append)
    assert [epoch.epoch for epoch in seen] == [2, 3, 4]
    in_bfloat16 = QUICK.model_copy(update={"mixed_precision": True})
    with pytest.raises(TrainingError, match=r"another mixed_precision \(False, now True\)"):
        train(TINY, examples, split, in_bfloat16, path)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("CUDA out of memory. Tried to allocate 20.00 MiB", "give a smaller --batch"),
        ("CUDA error: no kernel image is available for execution", "what nvidia-smi says"),
    ],
)
def test_a_gpu_that_fails_is_one_line(examples, monkeypatch, said, advice):
    def fail(*_):
        raise torch.OutOfMemoryError(f"{said}\nand much more")

    monkeypatch.setattr("photoz_models.training._step", fail)
    split = split_examples(examples, 1, "galaxy")
    with pytest.raises(TrainingError, match=f"the GPU failed: {said}; .*{advice}"):
        train(TINY, examples, split, QUICK)


def test_a_driver_that_does_not_work_is_told(monkeypatch):
    def broken():
        warnings.warn("CUDA initialization: the NVIDIA driver is too old\nmore", stacklevel=1)
        return False

    monkeypatch.setattr("torch.cuda.is_available", broken)
    assert gpu_here() == ("", "CUDA initialization: the NVIDIA driver is too old")


@pytest.mark.parametrize("kept", [0, 3000])
def test_a_damaged_checkpoint_is_refused(examples, tmp_path, kept):
    split, path = split_examples(examples, 1, "galaxy"), tmp_path / "c.pt"
    short = QUICK.model_copy(update={"epochs": 1})
    train(TINY, examples, split, short, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(TrainingError, match=r"c\.pt: is damaged; remove it"):
        train(TINY, examples, split, short, path)


def test_training_stops_early_and_keeps_the_best_epoch(examples, tmp_path):
    split = split_examples(examples, 1, "galaxy")
    seen = []
    hopeless = Settings(epochs=30, batch=64, learning_rate=1.0, patience=3)
    network, _ = train(TINY, examples, split, hopeless, on_epoch=seen.append)
    best = int(np.argmin([epoch.validation_loss for epoch in seen]))
    assert len(seen) == best + 1 + 3
    z_N = evaluate(network, examples, split.validation_N)[0]
    true_N = examples.z_N[split.validation_N]
    x_N = (z_N - true_N) / (1 + true_N)
    assert 1.4826 * np.median(np.abs(x_N - np.median(x_N))) == pytest.approx(
        seen[best].validation_smad, rel=1e-4
    )


def test_the_loss_is_huber_of_the_normalised_residual_plus_pinball():
    z_N, true_N = torch.tensor([0.12, 0.50]), torch.tensor([0.10, 0.20])
    quantiles_NQ = z_N[:, None].repeat(1, len(QUANTILE_LEVELS))
    e_N = (np.array([0.12, 0.50]) - np.array([0.10, 0.20])) / (1 + np.array([0.10, 0.20]))
    alpha = 0.02
    huber = np.where(abs(e_N) <= alpha, e_N**2 / 2, alpha * (abs(e_N) - alpha / 2)) / alpha**2
    levels_Q = np.array(QUANTILE_LEVELS)
    pinball = [np.mean(np.where(e < 0, levels_Q, 1 - levels_Q)) * abs(e) / alpha for e in e_N]
    assert float(loss_of(z_N, quantiles_NQ, true_N, alpha)) == pytest.approx(
        huber.mean() + np.mean(pinball), rel=1e-5
    )


def test_the_learning_rate_rises_and_falls_once():
    rates = np.array([learning_rate(Settings(), share) for share in np.linspace(0, 1, 200)])
    assert rates.max() == pytest.approx(3e-3, rel=0.01)
    assert rates[-1] == pytest.approx(3e-6)
    assert np.sum(np.diff(np.sign(np.diff(rates))) != 0) == 1


def test_errors_are_put_into_the_galaxies_that_a_network_is_trained_on(examples):
    split = split_examples(examples, 1, "galaxy")
    once = QUICK.model_copy(update={"epochs": 1})
    noisy = once.model_copy(update={"extra_noise": 30.0})
    [clean], [spoiled] = (train(TINY, examples, split, how)[1] for how in (once, noisy))
    assert spoiled.train_loss > 1.02 * clean.train_loss


def test_mixed_precision_learns_what_the_stamps_tell(examples):
    split = split_examples(examples, 1, "galaxy")
    true_N = examples.z_N[split.test_N]
    full, mixed = (
        evaluate(
            train(TINY, examples, split, QUICK.model_copy(update={"mixed_precision": on}))[0],
            examples,
            split.test_N,
        )
        for on in (False, True)
    )
    assert not np.array_equal(full[0], mixed[0])
    # Colour alone leaves the width, uniform over 0.1: bfloat16 must keep what the stamps give.
    assert max(scatter(full[0], true_N), scatter(mixed[0], true_N)) < 0.1 * 0.1 / np.sqrt(12)


@settings(derandomize=True, max_examples=20, deadline=None)
@given(
    shift=st.floats(-0.02, 0.02),
    stretch=st.floats(0.3, 3.0),
    noise=st.sampled_from(["normal", "laplace", "uniform"]),
)
def test_calibrated_quantiles_cover_what_they_say_on_new_galaxies(shift, stretch, noise):
    dice = np.random.default_rng(2)
    levels_Q = np.array(QUANTILE_LEVELS)
    centre_N, width_N = dice.uniform(0.1, 0.5, 8000), dice.uniform(0.01, 0.03, 8000)
    spread = np.quantile(getattr(dice, noise)(size=100_000), levels_Q)
    true_N = centre_N + width_N * getattr(dice, noise)(size=8000)
    wrong_NQ = centre_N[:, None] + shift + stretch * width_N[:, None] * spread
    matrix_QQ = level_matrix(wrong_NQ[:4000], true_N[:4000], QUANTILE_LEVELS)
    calibrated_NQ = wrong_NQ[4000:] @ matrix_QQ.T
    covered_Q = (true_N[4000:, None] < calibrated_NQ).mean(axis=0)
    # Four standard errors of the two halves together.
    np.testing.assert_array_less(
        np.abs(covered_Q - levels_Q), 4 * np.sqrt(levels_Q * (1 - levels_Q) * 2 / 4000)
    )
    assert (np.diff(calibrated_NQ, axis=1) >= -1e-9).all()


def test_calibration_leaves_calibrated_quantiles_alone():
    levels_Q = np.array(QUANTILE_LEVELS)
    true_N = np.linspace(0, 1, 100_001)[1:-1]
    matrix_QQ = level_matrix(np.tile(levels_Q, (len(true_N), 1)), true_N, QUANTILE_LEVELS)
    np.testing.assert_allclose(matrix_QQ @ levels_Q, levels_Q, atol=1e-4)


@pytest.mark.parametrize("by", ["galaxy", "tile"])
def test_a_split_is_complete_disjoint_repeatable_and_70_15_15(examples, by):
    split = split_examples(examples, 5, by)
    parts = [split.train_N, split.validation_N, split.test_N]
    assert sorted(np.concatenate(parts)) == list(range(len(examples)))
    tolerance = 1 / len(examples) if by == "galaxy" else 0.05
    for part, share in zip(parts, (0.70, 0.15, 0.15), strict=True):
        assert len(part) / len(examples) == pytest.approx(share, abs=tolerance)
    again = split_examples(examples, 5, by)
    for a, b in zip(parts, (again.train_N, again.validation_N, again.test_N), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(split.train_N, split_examples(examples, 6, by).train_N)
    if by == "tile":
        tiles = [set(examples.tile_N[part]) for part in parts]
        assert len(set.union(*tiles)) == sum(len(part) for part in tiles)


def test_sets_that_cannot_be_trained_on_are_refused():
    with pytest.raises(TrainingError, match="has 900 galaxies; at least 1000"):
        split_examples(toy_examples(900), 1, "galaxy")
    with pytest.raises(TrainingError, match="2 tiles; a split by tile needs three"):
        split_examples(toy_examples(1200, tiles=2), 1, "tile")
    broken = toy_examples(1200)
    broken.z_N[[3, 5]] = np.nan
    with pytest.raises(TrainingError, match="2 redshifts that are not finite"):
        split_examples(broken, 1, "galaxy")
    with pytest.raises(TrainingError, match="has no band Q"):
        toy_examples(1200).narrowed(("u", "Q"), ("r",))
