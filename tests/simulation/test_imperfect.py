"""Settings that make a simulated survey worse, each of one thing alone."""

from dataclasses import replace

import numpy as np
import pytest

from photoz_run.simulation import conditions, images, render
from photoz_run.simulation.geometry import PIXEL_SCALE, cell_of_tile
from photoz_run.simulation.scene import make_scene
from photoz_run.simulation.settings import SimulationSettings

SURVEY = SimulationSettings(size=300, density=30, data_release="DR4.0", seed=3)
CELL = cell_of_tile(0, SURVEY)


def rendered(elongation: float) -> np.ndarray:
    """A round source, narrow beside a seeing of 1 arcsec."""
    image_HW = np.zeros((121, 121), np.float32)
    centre_N, variance_NG = np.array([60.0]), np.array([[0.01]])
    flux_NG = np.ones((1, 1))
    angle_N = np.array([0.6])
    shapes = (centre_N, centre_N, angle_N, variance_NG, variance_NG, flux_NG)
    render.add(image_HW, render.blobs(*shapes, 1.0, elongation), 1e-8, 1e-12)
    return image_HW.astype(float)


def moments(image_HW: np.ndarray) -> tuple[float, float]:
    """Variances along rows and columns, in arcsec^2, without those of source and pixel."""
    offset2 = (np.arange(121) - 60.0) ** 2
    of_row, of_column = image_HW.sum(axis=0) @ offset2, image_HW.sum(axis=1) @ offset2
    own = 0.01 / PIXEL_SCALE**2 + render.PIXEL_VARIANCE
    total = image_HW.sum()
    return (of_row / total - own) * PIXEL_SCALE**2, (of_column / total - own) * PIXEL_SCALE**2


def test_an_elongated_psf_is_longer_than_wide_and_covers_the_same_area():
    round_x, round_y = moments(rendered(0.0))
    x, y = moments(rendered(0.1))
    assert round_x == pytest.approx(round_y, rel=1e-6)
    assert np.sqrt(x / y) == pytest.approx(1.1, rel=1e-4)
    assert x * y == pytest.approx(round_x * round_y, rel=1e-4)


def test_resampled_noise_is_smoother_and_as_large_in_an_aperture():
    white_HW = np.random.default_rng(5).standard_normal((1024, 1024), np.float32)
    noise_HW = images.resampled(white_HW)
    beside = np.mean(noise_HW[:, 1:] * noise_HW[:, :-1]) / np.var(noise_HW)
    assert beside > 0.2
    assert np.std(noise_HW) == pytest.approx(0.78, abs=0.01)
    in_squares = [
        np.std(image.reshape(64, 16, 64, 16).sum(axis=(1, 3))) for image in (white_HW, noise_HW)
    ]
    assert in_squares[1] == pytest.approx(in_squares[0], rel=0.03)


def test_a_shallower_survey_differs_in_depth_alone():
    deep, shallow = (
        conditions.observe(settings, CELL) for settings in (SURVEY, replace(SURVEY, shallower=0.3))
    )
    for epoch, seen in deep.items():
        assert shallow[epoch] == replace(seen, depth=shallow[epoch].depth)
        assert seen.depth - shallow[epoch].depth == pytest.approx(0.3)


def test_a_crowded_sky_has_more_neighbours_around_the_same_galaxies():
    sparse, crowded = (
        make_scene(settings, CELL) for settings in (SURVEY, replace(SURVEY, crowding=2.0))
    )
    np.testing.assert_array_equal(crowded.galaxies.ra_N, sparse.galaxies.ra_N)
    assert len(crowded.backdrop) == pytest.approx(2 * len(sparse.backdrop), rel=0.15)
