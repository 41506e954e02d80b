"""The galaxies: type, redshift, structure, and spectra of bulge, smooth disc and young clumps.

Numbers without a reference are knobs; docs/simulation.md says which were calibrated against what.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photoz_run.simulation import cosmology, luminosity, spectra
from photoz_run.simulation.dice import Dice
from photoz_run.simulation.rows import join, take

Floats = NDArray[np.float64]

RESIDUAL_RMS = 0.045
"""Smooth deviation of each spectrum from the templates (mag): the main difficulty knob."""
RESIDUAL_LENGTH = 0.20
"""Correlation length of the deviation (ln wavelength)."""
CHUNK = 256


@dataclass(frozen=True)
class Structure:
    """Shapes and sizes on the sky.

    Position angles are in radians, east of north; half-light radii in arcsec, along the major axis.
    """

    bulge_radius_N: Floats
    disc_radius_N: Floats
    bulge_q_N: Floats
    disc_q_N: Floats
    angle_N: Floats
    sersic_N: Floats
    """Sersic index of the bulge; the disc has 1."""


@dataclass(frozen=True)
class Galaxies:
    """Galaxies with what is true of them.

    Fluxes are in maggies outside the Milky Way, shape (N, 9) in the order of `spectra.BANDS`.
    """

    dice: Dice
    ra_N: Floats
    dec_N: Floats
    red_N: NDArray[np.bool_]
    z_N: Floats
    absolute_N: Floats
    bulge_fraction_N: Floats
    structure: Structure
    bulge_NB: Floats
    disc_NB: Floats
    clumps_NB: Floats

    def __len__(self) -> int:
        return len(self.z_N)

    @property
    def flux_NB(self) -> Floats:
        """Total flux."""
        return np.asarray(self.bulge_NB + self.disc_NB + self.clumps_NB)


def draw_galaxies(dice: Dice, ra_N: Floats, dec_N: Floats) -> Galaxies:
    """Make the galaxies with the given keys at the given places.

    Those fainter than `luminosity.LIMIT` are dropped.
    """
    chunks = []
    for start in range(0, max(len(dice), 1), CHUNK):
        rows = slice(start, start + CHUNK)
        chunks.append(_draw(take(dice, rows), ra_N[rows], dec_N[rows]))
    return join(chunks)


def _draw(dice: Dice, ra_N: Floats, dec_N: Floats) -> Galaxies:
    red_N, z_N, m_N = luminosity.draw(dice)
    bulge_fraction_N = draw_bulge_fraction(dice, red_N, m_N)
    structure = draw_structure(dice, red_N, z_N, m_N)
    bulge_NB, disc_NB, clumps_NB = draw_fluxes(
        dice, red_N, z_N, m_N, bulge_fraction_N, structure.disc_q_N
    )
    galaxies = Galaxies(
        dice=dice,
        ra_N=ra_N,
        dec_N=dec_N,
        red_N=red_N,
        z_N=z_N,
        absolute_N=m_N,
        bulge_fraction_N=bulge_fraction_N,
        structure=structure,
        bulge_NB=bulge_NB,
        disc_NB=disc_NB,
        clumps_NB=clumps_NB,
    )
    r_flux_N = galaxies.flux_NB[:, spectra.BANDS.index("r")]
    return take(galaxies, r_flux_N > 10 ** (-0.4 * luminosity.LIMIT))


def draw_bulge_fraction(dice: Dice, red_N: NDArray[np.bool_], m_N: Floats) -> Floats:
    """Bulge-to-total ratio in 0.1r."""
    faintness_N = m_N + 21
    of_red_N = dice.beta("B/T red", 3.0, 1.3) - 0.04 * faintness_N
    of_blue_N = dice.beta("B/T blue", 1.2, 5.0) - 0.05 * faintness_N
    return np.where(red_N, np.clip(of_red_N, 0.05, 1.0), np.clip(of_blue_N, 0.0, 0.9))


def size_residuals(dice: Dice) -> tuple[Floats, Floats]:
    """Standardised deviations of bulge and disc from the mean size, with correlation 0.4."""
    bulge_N = dice.normal("size")
    own_N = dice.normal("disc size")
    disc_N = 0.4 * bulge_N + np.sqrt(1 - 0.4**2) * own_N
    return bulge_N, disc_N


def draw_structure(dice: Dice, red_N: NDArray[np.bool_], z_N: Floats, m_N: Floats) -> Structure:
    """Sizes after Shen et al. (2003), inclinations at random, Sersic indices."""
    bulge_kpc_N, disc_kpc_N = draw_sizes(dice, red_N, z_N, m_N)
    kpc_per_arcsec_N = cosmology.kpc_per_arcsec(z_N)

    cos_i_N = dice.uniform("inclination")
    thickness_N = np.clip(0.2 + 0.05 * dice.normal("thickness"), 0.05, 0.4)
    disc_q_N = np.sqrt(cos_i_N**2 * (1 - thickness_N**2) + thickness_N**2)
    flattening_N = 0.8 * (1 - disc_q_N) * dice.beta("bulge shape", 2.0, 2.0)

    index_N = 0.8 * dice.normal("Sersic index")
    index_red_N = 3.8 + index_N - 0.3 * (m_N + 21)
    index_blue_N = 2.5 + index_N
    return Structure(
        bulge_radius_N=bulge_kpc_N / kpc_per_arcsec_N,
        disc_radius_N=disc_kpc_N / kpc_per_arcsec_N,
        bulge_q_N=np.maximum(1 - flattening_N, 0.3),
        disc_q_N=disc_q_N,
        angle_N=np.pi * dice.uniform("position angle"),
        sersic_N=np.clip(np.where(red_N, index_red_N, index_blue_N), 0.8, 6.0),
    )


def draw_sizes(
    dice: Dice, red_N: NDArray[np.bool_], z_N: Floats, m_N: Floats
) -> tuple[Floats, Floats]:
    """Half-light radii (kpc) of bulge and disc.

    Late and early types follow Shen et al. (2003) eqs. 14 and 15, and both were smaller in the
    past. Their scatter in ln R falls from 0.48 for faint galaxies to 0.25 for bright ones.
    """
    bright_N = 10 ** (-0.4 * (m_N + 20.52))
    late_kpc_N = 10 ** (-0.084 * m_N + 0.32 * np.log10(1 + bright_N) - 1.31)
    early_kpc_N = np.maximum(10 ** (-0.24 * m_N - 4.63), 0.5)
    scatter_N = 0.25 + 0.23 / (1 + 10 ** (-0.8 * (m_N + 20.52)))
    bulge_residual_N, disc_residual_N = size_residuals(dice)

    disc_kpc_N = late_kpc_N * np.exp(scatter_N * disc_residual_N) * 1.15 * 10**0.05
    disc_kpc_N *= (1 + z_N) ** -0.75
    bulge_kpc_N = early_kpc_N * np.exp(scatter_N * bulge_residual_N)
    bulge_kpc_N = bulge_kpc_N * np.where(red_N, 0.85, 0.7) * 10**0.08 * (1 + z_N) ** -1.0
    return np.minimum(bulge_kpc_N, 1.5 * disc_kpc_N), disc_kpc_N


def draw_fluxes(
    dice: Dice,
    red_N: NDArray[np.bool_],
    z_N: Floats,
    m_N: Floats,
    bulge_fraction_N: Floats,
    disc_q_N: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Fluxes of bulge, smooth disc and clumps: maggies, shape (N, 9) each.

    They are scaled to M_0.1r and to the bulge fraction.
    """
    bulge_NL, disc_NL, clumps_NL = draw_spectra(dice, red_N, z_N, m_N, bulge_fraction_N, disc_q_N)
    band = spectra.BANDS.index("r")
    reference_z_N = np.full(len(dice), 0.1)
    bulge_light_N = spectra.band_flux(bulge_NL, reference_z_N, band)
    disc_light_N = spectra.band_flux(disc_NL + clumps_NL, reference_z_N, band)
    # At z = 0.1 the K-correction to the band shifted by 0.1 is -2.5 log10(1.1).
    flux_N = 10 ** (-0.4 * (m_N + cosmology.distance_modulus(z_N))) * 1.1
    bulge_scale_N = bulge_fraction_N / bulge_light_N * flux_N
    disc_scale_N = (1 - bulge_fraction_N) / disc_light_N * flux_N
    return (
        spectra.all_band_fluxes(bulge_NL, z_N) * bulge_scale_N[:, None],
        spectra.all_band_fluxes(disc_NL, z_N) * disc_scale_N[:, None],
        spectra.all_band_fluxes(clumps_NL, z_N) * disc_scale_N[:, None],
    )


def disc_mix(
    dice: Dice, red_N: NDArray[np.bool_], z_N: Floats, m_N: Floats, bulge_fraction_N: Floats
) -> tuple[Floats, Floats, Floats]:
    """Shares of old, intermediate and young light of the disc at 5500-6900 A.

    All three follow from one latent state of star formation.
    """
    _, disc_residual_N = size_residuals(dice)
    mean_blue_N = 0.55 + 0.18 * (m_N + 21) - 2.0 * (bulge_fraction_N - 0.2) + 0.25 * disc_residual_N
    mean_N = np.where(red_N, -1.4, mean_blue_N)
    state_N = mean_N + 0.5 * dice.normal("star formation") + 0.5 * (z_N - 0.2)
    old_N = 1 / (1 + np.exp(1.5 * state_N)) + 0.06 * dice.normal("old share")
    old_N = np.clip(old_N, 0.0, 1.0)
    young_N = (1 - old_N) / (1 + np.exp(-1.6 * (state_N - 0.9)))
    return old_N, 1 - old_N - young_N, young_N


def clumpiness(dice: Dice) -> Floats:
    """Share of the young light of a disc that lies in clumps along its spiral arms."""
    return np.asarray(0.3 + 0.4 * dice.uniform("clumpiness"))


def draw_spectra(
    dice: Dice,
    red_N: NDArray[np.bool_],
    z_N: Floats,
    m_N: Floats,
    bulge_fraction_N: Floats,
    disc_q_N: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Rest-frame f_lambda of bulge, smooth disc and clumps behind dust; shape (N, L) each.

    The unit is arbitrary.
    """
    template_TL = spectra.data().templates_TL
    old_NL = old_spectra(dice, m_N)
    rejuvenated_N1 = np.minimum(-0.03 * np.log(dice.uniform("rejuvenation")), 0.2)[:, None]
    bulge_NL = (1 - rejuvenated_N1) * old_NL
    bulge_NL = bulge_NL + rejuvenated_N1 * template_TL[spectra.INTERMEDIATE]

    old_N, intermediate_N, young_N = disc_mix(dice, red_N, z_N, m_N, bulge_fraction_N)
    lines_N = 10 ** (0.3 * dice.normal("emission lines"))
    young_lines_N = 0.035 * young_N * lines_N
    young_NL = young_N[:, None] * template_TL[spectra.YOUNG]
    young_NL = young_NL + young_lines_N[:, None] * template_TL[spectra.NEBULAR]
    smooth_lines_N = 0.003 * intermediate_N * lines_N
    smooth_NL = old_N[:, None] * old_NL
    smooth_NL = smooth_NL + intermediate_N[:, None] * template_TL[spectra.INTERMEDIATE]
    smooth_NL = smooth_NL + smooth_lines_N[:, None] * template_TL[spectra.NEBULAR]
    in_clumps_N1 = clumpiness(dice)[:, None]

    a_v_N, slope_N = draw_dust(dice, red_N, m_N, disc_q_N)
    residual_NL = residual_factor(dice)
    disc_factor_NL = spectra.dust_transmission(a_v_N, slope_N) * residual_NL
    bulge_factor_NL = spectra.dust_transmission(0.5 * a_v_N, slope_N) * residual_NL
    return (
        bulge_NL * bulge_factor_NL,
        (smooth_NL + (1 - in_clumps_N1) * young_NL) * disc_factor_NL,
        in_clumps_N1 * young_NL * disc_factor_NL,
    )


def old_spectra(dice: Dice, m_N: Floats) -> Floats:
    """Spectra of the old stars, shape (N, L); compact and luminous bulges are redder."""
    template_TL = spectra.data().templates_TL
    bulge_residual_N, _ = size_residuals(dice)
    mix_N1 = dice.uniform("old mix")[:, None]
    mixed_NL = mix_N1 * template_TL[spectra.OLD] + (1 - mix_N1) * template_TL[spectra.LUMINOUS_RED]
    colour_N = -0.5 * bulge_residual_N + np.sqrt(0.75) * dice.normal("old colour")
    redder_N = -0.03 * (m_N + 21) + 0.04 * colour_N
    return np.asarray(mixed_NL * spectra.tilt(redder_N))


def draw_dust(
    dice: Dice, red_N: NDArray[np.bool_], m_N: Floats, disc_q_N: Floats
) -> tuple[Floats, Floats]:
    """A_V of the disc seen at its inclination, and slope of the screen."""
    _, disc_residual_N = size_residuals(dice)
    column_N = -0.4 * disc_residual_N + np.sqrt(0.84) * dice.normal("dust")
    exponent_N = 0.25 * column_N - 0.06 * (m_N + 21)
    a_v_N = 0.30 * 10**exponent_N * disc_q_N**-0.8 * np.where(red_N, 0.25, 1.0)
    slope_N = 0.9 + 0.25 * dice.normal("dust slope")
    return a_v_N, np.clip(slope_N, 0.3, 1.8)


def residual_factor(dice: Dice) -> Floats:
    """Smooth deviation of each galaxy's spectrum from the templates: a factor of shape (N, L)."""
    basis_KL = spectra.smooth_basis(RESIDUAL_RMS, RESIDUAL_LENGTH)
    terms = dice.many("spectral residual", len(basis_KL))
    normal_NK = terms.normal("term").reshape(len(dice), len(basis_KL))
    magnitude_NL = normal_NK @ basis_KL
    return np.asarray(np.exp(0.4 * np.log(10) * magnitude_NL))
