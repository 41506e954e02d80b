"""Errors that are put into galaxies while a network is trained: of the size that was asked for."""

import numpy as np
import pytest
import torch

from photoz_models.augmentation import moved, with_errors
from photoz_models.stamp_rule import MAGNITUDE_BANDS, StampRule
from photoz_models.training_settings import Settings

RULE = StampRule(
    image_bands=("u", "g"),
    magnitude_bands=MAGNITUDE_BANDS,
    seeing_bands=("g",),
    stamp_size=12,
    pixel_scale=0.2,
    dmag_applied=True,
    extinction_corrected=True,
)
NOISE_C = torch.tensor([2e-12, 5e-12])


def spoiled(flux: float = 1e-9, **errors: float) -> tuple[torch.Tensor, torch.Tensor]:
    """3000 galaxies with the same flux in every pixel, magnitude 20 and a seeing of 0.8."""
    stamps_NCHW = torch.full((3000, 2, 12, 12), flux)
    table_NT = torch.cat([torch.full((3000, 9), 20.0), torch.full((3000, 1), 0.8)], dim=1)
    settings, dice = Settings(**errors), np.random.default_rng(1)
    return with_errors(stamps_NCHW, table_NT, settings, RULE, NOISE_C, dice)


def test_nothing_is_changed_unless_it_is_asked_for():
    stamps_NCHW, table_NT = spoiled()
    assert torch.all(stamps_NCHW == 1e-9)
    assert torch.all(table_NT[:, :9] == 20)
    assert torch.all(table_NT[:, 9] == torch.tensor(0.8))


def test_seeing_is_wrong_by_a_share_of_it_and_magnitudes_are_left():
    stamps_NCHW, table_NT = spoiled(seeing_error=0.05)
    assert float(table_NT[:, 9].std() / 0.8) == pytest.approx(0.05, rel=0.05)
    assert float(table_NT[:, 9].mean()) == pytest.approx(0.8, abs=0.003)
    assert torch.all(table_NT[:, :9] == 20)
    assert torch.all(stamps_NCHW == 1e-9)


def test_dmag_is_wrong_for_all_pixels_of_a_band_alike_and_differently_in_each():
    stamps_NCHW, _ = spoiled(dmag_error=0.02)
    mag_NCP = -2.5 * torch.log10(stamps_NCHW / 1e-9).flatten(2)
    assert float(mag_NCP.std(dim=2).max()) < 1e-4
    assert float(mag_NCP[:, :, 0].std()) == pytest.approx(0.02, rel=0.05)
    assert abs(float(torch.corrcoef(mag_NCP[:, :, 0].T)[0, 1])) < 0.1


def test_sky_and_noise_come_in_units_of_the_noise_of_a_pixel():
    sky_NC = spoiled(0.0, sky_error=0.1)[0][:, :, 3, 4]
    np.testing.assert_allclose(sky_NC.std(dim=0), 0.1 * NOISE_C, rtol=0.06)
    noisy_NCHW = spoiled(0.0, extra_noise=0.6)[0]
    # A uniform share of up to 0.6 has the rms 0.6 / sqrt(3).
    rms_C = noisy_NCHW.square().mean(dim=(0, 2, 3)).sqrt()
    np.testing.assert_allclose(rms_C, 0.6 / np.sqrt(3) * NOISE_C, rtol=0.05)
    strength_N = noisy_NCHW[:, 0].std(dim=(1, 2))
    assert float(strength_N.min()) < 0.1 * float(strength_N.max())


def test_positions_move_stamps_by_whole_pixels_as_often_as_the_error_is_a_part_of_one():
    stamps_NCHW = torch.arange(144.0).reshape(12, 12).expand(4000, 2, 12, 12)
    moved_NCHW = moved(stamps_NCHW, 0.25, np.random.default_rng(2))
    down_N = (moved_NCHW[:, 0, 6, 6] - 78) // 12
    right_N = moved_NCHW[:, 0, 6, 6] - 78 - 12 * torch.round((moved_NCHW[:, 0, 6, 6] - 78) / 12)
    expected = 0.25 * np.sqrt(2 / np.pi)  # the mean size of a normal number
    assert float((right_N != 0).float().mean()) == pytest.approx(expected, abs=0.02)
    assert set(right_N.tolist()) == {-1.0, 0.0, 1.0}
    assert float(down_N.float().abs().mean()) > 0.15
    lost_N = torch.isnan(moved_NCHW).any(dim=1).sum(dim=(1, 2))
    assert set(lost_N.tolist()) == {0, 12, 23}
    still_N = lost_N == 0
    assert torch.equal(moved_NCHW[still_N], stamps_NCHW[still_N])


def test_gaps_stay_gaps():
    stamps_NCHW = torch.full((50, 2, 12, 12), float("nan"))
    table_NT = torch.full((50, 10), float("nan"))
    errors = Settings(
        seeing_error=0.1, dmag_error=0.1, sky_error=1, position_error=1, extra_noise=1
    )
    dice = np.random.default_rng(1)
    for part in with_errors(stamps_NCHW, table_NT, errors, RULE, NOISE_C, dice):
        assert torch.isnan(part).all()
