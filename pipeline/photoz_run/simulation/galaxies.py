"""The galaxies: type, redshift, structure and the spectra of bulge, smooth disc and star-forming clumps.

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
    """Shapes and sizes on the sky: position angles (radians, east of north), half-light radii (arcsec, major axis)."""

    bulge_radius_N: Floats
    disc_radius_N: Floats
    bulge_q_N: Floats
    disc_q_N: Floats
    angle_N: Floats
    sersic_N: Floats
    """Sersic index of the bulge; the disc has 1."""


@dataclass(frozen=True)
class Galaxies:
    """Galaxies with what is true of them; fluxes in maggies outside the Milky Way, shape (N, 9) in `spectra.BANDS`."""

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
    """Make the galaxies with the given keys at the given places; those fainter than `luminosity.LIMIT` are dropped."""
    starts = range(0, max(len(dice), 1), CHUNK)
    return join(
        [
            _draw(take(dice, slice(k, k + CHUNK)), ra_N[k : k + CHUNK], dec_N[k : k + CHUNK])
            for k in starts
        ]
    )


def _draw(dice: Dice, ra_N: Floats, dec_N: Floats) -> Galaxies:
    red_N, z_N, m_N = luminosity.draw(dice)
    bulge_fraction_N = draw_bulge_fraction(dice, red_N, m_N)
    structure = draw_structure(dice, red_N, z_N, m_N)
    bulge_NB, disc_NB, clumps_NB = draw_fluxes(
        dice, red_N, z_N, m_N, bulge_fraction_N, structure.disc_q_N
    )
    everything = Galaxies(
        dice,
        ra_N,
        dec_N,
        red_N,
        z_N,
        m_N,
        bulge_fraction_N,
        structure,
        bulge_NB,
        disc_NB,
        clumps_NB,
    )
    return take(
        everything,
        everything.flux_NB[:, spectra.BANDS.index("r")] > 10 ** (-0.4 * luminosity.LIMIT),
    )


def draw_bulge_fraction(dice: Dice, red_N: NDArray[np.bool_], m_N: Floats) -> Floats:
    """Bulge-to-total ratio in 0.1r."""
    red = np.clip(dice.beta("B/T red", 3.0, 1.3) - 0.04 * (m_N + 21), 0.05, 1.0)
    blue = np.clip(dice.beta("B/T blue", 1.2, 5.0) - 0.05 * (m_N + 21), 0.0, 0.9)
    return np.where(red_N, red, blue)


def size_residuals(dice: Dice) -> tuple[Floats, Floats]:
    """Standardised deviations of bulge and disc from the mean size, with correlation 0.4."""
    common, own = dice.normal("size"), dice.normal("disc size")
    return common, 0.4 * common + np.sqrt(1 - 0.4**2) * own


def draw_structure(dice: Dice, red_N: NDArray[np.bool_], z_N: Floats, m_N: Floats) -> Structure:
    """Sizes after Shen et al. (2003), inclinations at random, Sersic indices."""
    bulge_kpc, disc_kpc = draw_sizes(dice, red_N, z_N, m_N)
    scale = cosmology.kpc_per_arcsec(z_N)
    cos_i = dice.uniform("inclination")
    thickness = np.clip(0.2 + 0.05 * dice.normal("thickness"), 0.05, 0.4)
    disc_q = np.sqrt(cos_i**2 * (1 - thickness**2) + thickness**2)
    bulge_q = np.maximum(1 - 0.8 * (1 - disc_q) * dice.beta("bulge shape", 2.0, 2.0), 0.3)
    index_red = 3.8 + 0.8 * dice.normal("Sersic index") - 0.3 * (m_N + 21)
    index_blue = 2.5 + 0.8 * dice.normal("Sersic index")
    return Structure(
        bulge_radius_N=bulge_kpc / scale,
        disc_radius_N=disc_kpc / scale,
        bulge_q_N=bulge_q,
        disc_q_N=disc_q,
        angle_N=np.pi * dice.uniform("position angle"),
        sersic_N=np.clip(np.where(red_N, index_red, index_blue), 0.8, 6.0),
    )


def draw_sizes(
    dice: Dice, red_N: NDArray[np.bool_], z_N: Floats, m_N: Floats
) -> tuple[Floats, Floats]:
    """Half-light radii (kpc) of bulge and disc: Shen et al. (2003) eqs. 14 and 15, with growth in time."""
    late = 10 ** (-0.084 * m_N + 0.32 * np.log10(1 + 10 ** (-0.4 * (m_N + 20.52))) - 1.31)
    early = np.maximum(10 ** (-0.24 * m_N - 4.63), 0.5)
    scatter = 0.25 + 0.23 / (1 + 10 ** (-0.8 * (m_N + 20.52)))
    of_bulge, of_disc = size_residuals(dice)
    disc = late * np.exp(scatter * of_disc) * 1.15 * 10**0.05 * (1 + z_N) ** -0.75
    bulge = (
        early
        * np.exp(scatter * of_bulge)
        * np.where(red_N, 0.85, 0.7)
        * 10**0.08
        * (1 + z_N) ** -1.0
    )
    return np.minimum(bulge, 1.5 * disc), disc


def draw_fluxes(
    dice: Dice,
    red_N: NDArray[np.bool_],
    z_N: Floats,
    m_N: Floats,
    bulge_fraction_N: Floats,
    disc_q_N: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Fluxes (maggies, (N, 9)) of bulge, smooth disc and clumps, scaled to M_0.1r and the bulge fraction."""
    bulge_NL, disc_NL, clumps_NL = draw_spectra(dice, red_N, z_N, m_N, bulge_fraction_N, disc_q_N)
    reference = np.full(len(dice), 0.1)
    band = spectra.BANDS.index("r")
    bulge_scale = bulge_fraction_N / spectra.band_flux(bulge_NL, reference, band)
    disc_scale = (1 - bulge_fraction_N) / spectra.band_flux(disc_NL + clumps_NL, reference, band)
    faintness = 10 ** (-0.4 * (m_N + cosmology.distance_modulus(z_N))) * 1.1
    return (
        spectra.all_band_fluxes(bulge_NL, z_N) * (bulge_scale * faintness)[:, None],
        spectra.all_band_fluxes(disc_NL, z_N) * (disc_scale * faintness)[:, None],
        spectra.all_band_fluxes(clumps_NL, z_N) * (disc_scale * faintness)[:, None],
    )


def disc_mix(
    dice: Dice, red_N: NDArray[np.bool_], z_N: Floats, m_N: Floats, bulge_fraction_N: Floats
) -> tuple[Floats, Floats, Floats]:
    """Shares of old, intermediate and young light of the disc (5500-6900 A), from one latent star-formation state."""
    _, of_disc = size_residuals(dice)
    blue = 0.55 + 0.18 * (m_N + 21) - 2.0 * (bulge_fraction_N - 0.2) + 0.25 * of_disc
    state = np.where(red_N, -1.4, blue) + 0.5 * dice.normal("star formation") + 0.5 * (z_N - 0.2)
    old = np.clip(1 / (1 + np.exp(1.5 * state)) + 0.06 * dice.normal("old share"), 0.0, 1.0)
    young = (1 - old) / (1 + np.exp(-1.6 * (state - 0.9)))
    return old, 1 - old - young, young


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
    """Rest-frame f_lambda of bulge, smooth disc and clumps after dust, arbitrary unit, shape (N, L) each."""
    template = spectra.data().templates_TL
    of_bulge, _ = size_residuals(dice)
    mix = dice.uniform("old mix")[:, None]
    redder = -0.03 * (m_N + 21) + 0.04 * (
        -0.5 * of_bulge + np.sqrt(0.75) * dice.normal("old colour")
    )
    old_NL = (
        mix * template[spectra.OLD] + (1 - mix) * template[spectra.LUMINOUS_RED]
    ) * spectra.tilt(redder)
    rejuvenated = np.minimum(-0.03 * np.log(dice.uniform("rejuvenation")), 0.2)[:, None]
    bulge_NL = (1 - rejuvenated) * old_NL + rejuvenated * template[spectra.INTERMEDIATE]

    old, intermediate, young = disc_mix(dice, red_N, z_N, m_N, bulge_fraction_N)
    strength = 10 ** (0.3 * dice.normal("emission lines"))
    young_NL = (
        young[:, None] * template[spectra.YOUNG]
        + (0.035 * young * strength)[:, None] * template[spectra.NEBULAR]
    )
    lines = (0.003 * intermediate * strength)[:, None] * template[spectra.NEBULAR]
    smooth_NL = (
        old[:, None] * old_NL + intermediate[:, None] * template[spectra.INTERMEDIATE] + lines
    )
    in_clumps = clumpiness(dice)[:, None]

    a_v, slope = draw_dust(dice, red_N, m_N, disc_q_N)
    residual_NL = residual_factor(dice)
    disc_factor = spectra.dust_transmission(a_v, slope) * residual_NL
    bulge_factor = spectra.dust_transmission(0.5 * a_v, slope) * residual_NL
    return (
        bulge_NL * bulge_factor,
        (smooth_NL + (1 - in_clumps) * young_NL) * disc_factor,
        in_clumps * young_NL * disc_factor,
    )


def draw_dust(
    dice: Dice, red_N: NDArray[np.bool_], m_N: Floats, disc_q_N: Floats
) -> tuple[Floats, Floats]:
    """A_V of the disc seen at its inclination, and slope of the screen."""
    _, of_disc = size_residuals(dice)
    exponent = 0.25 * (-0.4 * of_disc + np.sqrt(0.84) * dice.normal("dust")) - 0.06 * (m_N + 21)
    a_v = 0.30 * 10**exponent * disc_q_N**-0.8 * np.where(red_N, 0.25, 1.0)
    return a_v, np.clip(0.9 + 0.25 * dice.normal("dust slope"), 0.3, 1.8)


def residual_factor(dice: Dice) -> Floats:
    """The smooth deviation of each galaxy's spectrum from the templates, as a factor of shape (N, L)."""
    basis_KL = spectra.smooth_basis(RESIDUAL_RMS, RESIDUAL_LENGTH)
    normal_NK = (
        dice.many("spectral residual", len(basis_KL))
        .normal("term")
        .reshape(len(dice), len(basis_KL))
    )
    return np.asarray(np.exp(0.4 * np.log(10) * (normal_NK @ basis_KL)))
