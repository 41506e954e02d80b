"""Pixels against GalSim, which draws the same profiles by Fourier transform."""

import galsim
import numpy as np
import pytest

from photoz_run.simulation import galaxies, geometry, luminosity, mixtures, render, scene, spectra
from photoz_run.simulation.dice import Dice, keys
from photoz_run.simulation.rows import take

SIZE = 101


def draw(index, radius, q, angle, fwhm, flux=1e-8):
    image = np.zeros((SIZE, SIZE), np.float32)
    weight = flux * mixtures.sersic_weights(np.array([float(index)]))
    variance = (radius * spectra.data().sersic_sigma)[None, :] ** 2
    shape = render.blobs(
        np.array([50.2]),
        np.array([49.7]),
        np.array([angle]),
        variance,
        variance * q**2,
        weight,
        fwhm,
    )
    render.add(image, shape, 5e-4, 1e-13)
    return image


def draw_with_galsim(index, radius, q, angle, fwhm, flux=1e-8):
    """GalSim measures the angle from +x; ours is east of north, with east to the left."""
    profile = galsim.Sersic(index, half_light_radius=radius * np.sqrt(q), flux=flux)
    sheared = profile.shear(q=q, beta=(angle + np.pi / 2) * galsim.radians)
    seen = galsim.Convolve(sheared, galsim.Moffat(beta=2.9, fwhm=fwhm))
    return seen.drawImage(nx=SIZE, ny=SIZE, scale=0.2, offset=(0.2, -0.3)).array


@pytest.mark.parametrize(
    ("index", "radius", "q", "angle", "fwhm"),
    [
        (1, 1.2, 0.5, 0.7, 0.7),
        (1, 0.3, 0.3, 2.0, 0.7),
        (1, 2.5, 0.25, 1.2, 1.0),
        (2.6, 0.5, 0.4, 0.0, 0.9),
        (4, 0.8, 0.7, 2.5, 0.7),
        (5.9, 1.2, 0.8, 1.0, 0.8),
    ],
)
def test_sersic_profiles_in_moffat_seeing(index, radius, q, angle, fwhm):
    ours, theirs = (
        draw(index, radius, q, angle, fwhm),
        draw_with_galsim(index, radius, q, angle, fwhm),
    )
    assert np.abs(ours - theirs).max() < 0.005 * theirs.max()
    stamp = slice(32, 68)
    np.testing.assert_allclose(ours[stamp, stamp].sum(), theirs[stamp, stamp].sum(), rtol=0.002)


def test_the_position_is_the_flux_weighted_centre():
    image = draw(1, 0.6, 0.6, 0.4, 0.8)
    y, x = np.mgrid[:SIZE, :SIZE]
    np.testing.assert_allclose(
        [(x * image).sum() / image.sum(), (y * image).sum() / image.sum()], [50.2, 49.7], atol=0.01
    )


def test_an_object_half_outside_leaves_the_same_light_inside():
    whole, cut = np.zeros((80, 80), np.float32), np.zeros((80, 50), np.float32)
    shape = (np.array([0.3]), np.array([[1.0]]), np.array([[0.3]]), np.array([[1e-8]]), 0.8)
    for image in (whole, cut):
        render.add(image, render.blobs(np.array([49.0]), np.array([2.0]), *shape), 1e-4, 1e-14)
    np.testing.assert_array_equal(whole[:, :50], cut)


def some_galaxies(n=600):
    dice = Dice(keys([11], n))
    drawn = galaxies.draw_galaxies(dice, np.zeros(n), np.zeros(n))
    return take(drawn, drawn.flux_NB[:, 2] > 1e-8)


def test_aperture_flux_equals_a_sum_over_pixels():
    """GAaP by brute force: pre-seeing light on a fine grid, weighted by the Gaussian aperture."""
    bright = some_galaxies(60)
    light = mixtures.galaxy_mixtures(bright)
    a, b = np.full(len(bright), 1.4), np.full(len(bright), 0.9)
    closed = mixtures.aperture_flux(light, 2, a, b)
    grid = (np.arange(400) + 0.5) * 0.04 - 8.0
    across, along = np.meshgrid(grid, grid)
    aperture = np.exp(-0.5 * (along**2 / 1.4**2 + across**2 / 0.9**2)) * 0.04**2
    for n in range(0, len(bright), 5):
        total = 0.0
        parts = zip(light.major_NG[n], light.minor_NG[n], light.flux_BNG[2, n], strict=True)
        clumps = zip(
            light.clump_variance_NK[n], light.clump_flux_BNK[2, n], light.offset_NK2[n], strict=True
        )
        for va, vb, flux, da, db in [
            *((va, vb, flux, 0.0, 0.0) for va, vb, flux in parts),
            *((v, v, flux, *offset) for v, flux, offset in clumps),
        ]:
            va, vb = max(va, 0.06**2), max(vb, 0.06**2)
            peak = flux / (2 * np.pi * np.sqrt(va * vb))
            total += (
                peak * np.exp(-0.5 * ((along - da) ** 2 / va + (across - db) ** 2 / vb)) * aperture
            ).sum()
        np.testing.assert_allclose(closed[n], total, rtol=0.01)


def test_a_point_source_gives_its_whole_flux_through_any_aperture():
    one = np.ones(1)
    point = mixtures.Mixtures(
        0 * one, np.zeros((1, 1)), np.zeros((1, 1)), np.full((9, 1, 1), 3e-9),
        np.zeros((1, 0, 2)), np.zeros((1, 0)), np.zeros((9, 1, 0)),
    )  # fmt: skip
    for size in (0.7, 2.0):
        np.testing.assert_allclose(
            mixtures.aperture_flux(point, 0, size * one, 0.5 * size * one), 3e-9
        )


def test_clumps_are_bluer_than_their_disc_and_follow_two_arms():
    bright = some_galaxies()
    blue = take(bright, ~bright.red_N & (bright.clumps_NB[:, 2] > 0.05 * bright.flux_NB[:, 2]))
    g_r = [-2.5 * np.log10(part[:, 1] / part[:, 2]) for part in (blue.clumps_NB, blue.disc_NB)]
    assert (g_r[0] < g_r[1]).mean() > 0.95
    offset_NK2 = mixtures.galaxy_mixtures(blue).offset_NK2
    face_on = offset_NK2[..., 1] / blue.structure.disc_q_N[:, None]
    radius = np.hypot(offset_NK2[..., 0], face_on) * 1.678 / blue.structure.disc_radius_N[:, None]
    assert radius.min() > 0.49
    assert radius.max() < 3.31
    doubled = 2 * np.arctan2(face_on, offset_NK2[..., 0])
    near = np.abs(radius - np.median(radius, axis=1, keepdims=True)) < 0.25
    order = np.abs((np.exp(1j * doubled) * near).sum(axis=1)) / near.sum(axis=1)
    assert np.median(order) > 0.5


def test_every_cell_owns_its_objects_so_that_tiles_share_them():
    from photoz_run.simulation.settings import SimulationSettings

    settings = SimulationSettings(size=2000, density=5)
    cells = [geometry.cell_of_tile(index, settings) for index in (0, 2)]
    first, second = (scene.make_scene(settings, cell).galaxies for cell in cells)
    common = np.intersect1d(first.dice.key_N, second.dice.key_N)
    assert len(common) > 5
    rows = [np.searchsorted(np.sort(part.dice.key_N), common) for part in (first, second)]
    sorted_parts = [take(part, np.argsort(part.dice.key_N)) for part in (first, second)]
    for name in ("ra_N", "dec_N", "z_N", "bulge_NB", "clumps_NB"):
        values = [getattr(part, name)[row] for part, row in zip(sorted_parts, rows, strict=True)]
        np.testing.assert_allclose(*values, rtol=1e-12)
    assert luminosity.density_table().min() >= 0
