"""Errors and gaps that a network is trained with: of the size that was asked for."""

import numpy as np
import pytest
import torch

from photoz_models.augmentation import augment, moved, with_errors
from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS, StampRule
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


WHOLE = StampRule(
    image_bands=IMAGE_BANDS,
    magnitude_bands=MAGNITUDE_BANDS,
    seeing_bands=("u", "r"),
    stamp_size=8,
    pixel_scale=0.2,
    dmag_applied=True,
    extinction_corrected=True,
)
COMPLETE = Settings(lost_magnitudes=0, lost_band=0, lost_edge=0)


def augmented(stamps_NCHW: torch.Tensor, table_NT: torch.Tensor, **lost: float):
    settings = COMPLETE.model_copy(update=lost)
    return augment(stamps_NCHW.clone(), table_NT, settings, WHOLE, np.random.default_rng(1))


def test_symmetries_keep_every_pixel_value():
    stamps_NCHW = torch.arange(400 * 4 * 8 * 8, dtype=torch.float32).reshape(400, 4, 8, 8) * 1e-12
    turned_NCHW, table_NT = augmented(stamps_NCHW, torch.ones(400, 11))
    assert torch.equal(table_NT, torch.ones(400, 11))
    assert torch.equal(turned_NCHW.flatten(2).sort(dim=2).values, stamps_NCHW.flatten(2))


def test_each_galaxy_is_turned_by_itself_into_every_symmetry_of_the_square():
    stamp_HW = torch.arange(36, dtype=torch.float32).reshape(6, 6) * 1e-12
    turned_NCHW, _ = augmented(stamp_HW.expand(64, 4, 6, 6), torch.ones(64, 11))
    assert len({tuple(stamp_HW.flatten().tolist()) for stamp_HW in turned_NCHW[:, 0]}) == 8
    assert all(torch.equal(stamp_CHW[0], stamp_CHW[3]) for stamp_CHW in turned_NCHW)


def test_of_the_table_some_galaxies_lose_one_column_or_many():
    _, table_NT = augmented(torch.ones(8000, 4, 8, 8), torch.ones(8000, 11), lost_magnitudes=0.4)
    gone_NT = torch.isnan(table_NT)
    number_N = gone_NT.sum(dim=1)
    assert float((number_N > 0).float().mean()) == pytest.approx(0.4, abs=0.02)
    # Each other column with a share of 1/4 on average.
    assert float(number_N[number_N > 0].float().mean()) == pytest.approx(1 + 10 / 4, abs=0.1)
    # The mean of (1 - p)^10 over p from 0 to 1/2.
    alone = (1 - 0.5**11) / 11 / 0.5
    assert float((number_N[number_N > 0] == 1).float().mean()) == pytest.approx(alone, abs=0.02)
    assert float(gone_NT.float().mean(dim=0).std()) < 0.01


def test_a_lost_band_takes_its_seeing_along_and_nothing_else():
    stamps_NCHW, table_NT = augmented(
        torch.ones(2000, 4, 8, 8), torch.ones(2000, 11), lost_band=0.2
    )
    gone_NC = torch.isnan(stamps_NCHW).all(dim=3).all(dim=2)
    assert torch.isnan(stamps_NCHW).sum() == gone_NC.sum() * 64
    assert float(gone_NC.any(dim=1).float().mean()) == pytest.approx(0.2, abs=0.03)
    assert int(gone_NC.sum(dim=1).max()) == 1
    assert not torch.isnan(table_NT[:, :9]).any()
    assert torch.equal(torch.isnan(table_NT[:, 9]), gone_NC[:, IMAGE_BANDS.index("u")])
    assert torch.equal(torch.isnan(table_NT[:, 10]), gone_NC[:, IMAGE_BANDS.index("r")])


def test_lost_edges_lie_on_all_sides_and_leave_the_centre():
    stamps_NCHW, _ = augmented(torch.zeros(200, 4, 36, 36), torch.ones(200, 11), lost_edge=1)
    gone_NHW = torch.isnan(stamps_NCHW).all(dim=1)
    assert not gone_NHW[:, 13:23, 13:23].any()
    sides = [gone_NHW[:, 0, 18], gone_NHW[:, -1, 18], gone_NHW[:, 18, 0], gone_NHW[:, 18, -1]]
    assert all(20 < int(side.sum()) < 90 for side in sides)
    assert torch.stack(sides).sum(dim=0).eq(1).all()
