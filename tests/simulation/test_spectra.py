"""Magnitudes against textbook integrals and closed forms."""

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM

from photoz_run.simulation import cosmology, luminosity, spectra


def test_a_source_flat_in_frequency_has_the_same_ab_magnitude_in_every_band():
    flat_in_frequency = np.exp(-2 * spectra.data().ln_wave_L)[None, :]
    flux = spectra.all_band_fluxes(flat_in_frequency, np.array([0.0]))
    np.testing.assert_allclose(flux / flux[0, 0], 1, rtol=1e-6)


@pytest.mark.parametrize("slope", [-2.0, -0.5, 1.0])
def test_a_power_law_keeps_its_colours_and_dims_with_redshift(slope):
    """f_lambda = lambda^s seen at z is (1+z)^(-s-1) lambda^s."""
    z = np.array([0.0, 0.1234, 0.4])
    power_law = np.exp(slope * (spectra.data().ln_wave_L - 8))
    flux = spectra.all_band_fluxes(np.broadcast_to(power_law, (3, len(power_law))), z)
    np.testing.assert_allclose(
        flux / flux[0], np.tile((1 + z)[:, None] ** (-slope - 1), 9), rtol=1e-4
    )


def test_synthetic_magnitudes_equal_the_integral_over_wavelength():
    """Photon-weighted AB magnitude by the trapezoid rule; the grid is shifted, not the index."""
    data, z = spectra.data(), 0.237
    wave = np.exp(data.ln_wave_L)
    template = data.templates_TL[spectra.INTERMEDIATE]
    seen = np.interp(wave / (1 + z), wave, template) / (1 + z)
    colours = []
    for band in (1, 2, 6):
        response = data.weights_BL[band] / wave**2
        in_frequency = np.trapezoid(seen * wave * response, wave) / np.trapezoid(
            response / wave, wave
        )
        colours.append(-2.5 * np.log10(in_frequency))
    flux = spectra.all_band_fluxes(template[None, :], np.array([z]))[0, [1, 2, 6]]
    np.testing.assert_allclose(np.diff(-2.5 * np.log10(flux)), np.diff(colours), atol=0.002)


def test_old_galaxies_are_redder_than_young_ones_and_redden_with_redshift():
    template = spectra.data().templates_TL
    z = np.array([0.05, 0.2, 0.35])
    g_r = {}
    for row in (spectra.OLD, spectra.YOUNG):
        flux = spectra.all_band_fluxes(np.broadcast_to(template[row], (3, template.shape[1])), z)
        g_r[row] = -2.5 * np.log10(flux[:, 1] / flux[:, 2])
    assert (g_r[spectra.OLD] - g_r[spectra.YOUNG] > 0.4).all()
    assert (np.diff(g_r[spectra.OLD]) > 0.2).all()
    assert 0.6 < g_r[spectra.OLD][0] < 0.95


def test_k_correction_follows_its_definition_at_the_reference_redshift():
    value = luminosity.k_correction(spectra.data().templates_TL[spectra.OLD], np.array([0.1]))
    np.testing.assert_allclose(value, -2.5 * np.log10(1.1), atol=1e-9)


def test_residual_curves_have_the_stated_rms_and_length():
    basis_KL = spectra.smooth_basis(0.045, 0.20)
    np.testing.assert_allclose(np.sqrt((basis_KL**2).sum(axis=0)), 0.045, rtol=0.01)
    lag = round(0.20 / spectra.data().step)
    correlation = (basis_KL[:, 400] * basis_KL[:, 400 + lag]).sum() / 0.045**2
    np.testing.assert_allclose(correlation, np.exp(-0.5), atol=0.02)


def test_dust_reddens_by_its_law():
    through = spectra.dust_transmission(np.array([1.0]), np.array([1.0]))[0]
    wave = np.exp(spectra.data().ln_wave_L)
    np.testing.assert_allclose(
        np.interp([5500, 11000], wave, -2.5 * np.log10(through)), [1.0, 0.5], atol=1e-3
    )


def test_distances_and_volumes_agree_with_astropy():
    z = np.array([0.02, 0.1, 0.23, 0.5, 0.75])
    reference = FlatLambdaCDM(H0=70, Om0=0.3)
    np.testing.assert_allclose(cosmology.distance_modulus(z), reference.distmod(z).value, atol=1e-3)
    per_arcsec = reference.kpc_proper_per_arcmin(z).value / 60
    np.testing.assert_allclose(cosmology.kpc_per_arcsec(z), per_arcsec, rtol=1e-3)
    per_degree = reference.differential_comoving_volume(z).value * (np.pi / 180) ** 2
    np.testing.assert_allclose(cosmology.volume_per_square_degree(z), per_degree, rtol=1e-3)
