"""Faint galaxies and stars: what surrounds the bright galaxies, drawn more simply."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from photoz_run.simulation import luminosity, spectra
from photoz_run.simulation.dice import Dice

Floats = NDArray[np.float64]

FAINT_DENSITY = 25 * 3600.0
"""Galaxies per square degree between `luminosity.LIMIT` and `FAINT_LIMIT`."""
FAINT_LIMIT = 24.5
FAINT_SLOPE = 0.35
"""d log N / d mag of the faint galaxies."""
STAR_DENSITY = 2200.0
"""Stars per square degree with r < 20."""
STAR_SLOPE = 0.17
STAR_RANGE = (11.0, 24.0)
Z_NODES = np.arange(0.02, 2.01, 0.02)
SED_MIX = np.array(
    [[0, 0, 1.0, 0, 0, 0], [0, 0, 0.5, 0, 0.5, 0], [0, 0, 0.1, 0, 0.9, 0], [0, 0, 0, 1.0, 0, 0]]
)
SED_SHARE = np.array([0.25, 0.35, 0.25, 0.15])

LOCUS_GI = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0])
LOCUS = {
    "ug": [1.05, 0.95, 1.02, 1.28, 1.60, 2.18, 2.52, 2.62, 2.70],
    "gr": [0.08, 0.23, 0.38, 0.56, 0.74, 1.07, 1.34, 1.40, 1.46],
    "iZ": [-0.06, -0.01, 0.03, 0.07, 0.10, 0.19, 0.29, 0.49, 0.72],
    "ZY": [-0.05, -0.02, 0.00, 0.02, 0.04, 0.08, 0.13, 0.22, 0.35],
    "YJ": [-0.20, -0.12, -0.06, -0.01, 0.03, 0.08, 0.12, 0.16, 0.22],
    "JH": [-0.30, -0.22, -0.13, -0.04, 0.03, 0.14, 0.20, 0.17, 0.15],
    "HK": [-0.45, -0.44, -0.43, -0.41, -0.39, -0.34, -0.28, -0.22, -0.18],
}
"""Stellar locus in AB colours along g-i.

After Covey et al. (2007), with J H Ks moved from Vega to AB.
"""
LOCUS_SCATTER = 0.03


@dataclass(frozen=True)
class Backdrop:
    """Faint galaxies and stars; a star has radius 0 (arcsec).

    Fluxes are in maggies outside the Milky Way, shape (N, 9).
    """

    dice: Dice
    ra_N: Floats
    dec_N: Floats
    flux_NB: Floats
    star_N: NDArray[np.bool_]
    z_N: Floats
    radius_N: Floats
    q_N: Floats
    angle_N: Floats

    def __len__(self) -> int:
        return len(self.ra_N)


def power_law_magnitude(u_N: Floats, slope: float, bright: float, faint: float) -> Floats:
    """Magnitudes with counts proportional to 10^(slope m) between two limits."""
    low = 10 ** (slope * bright)
    high = 10 ** (slope * faint)
    counts_N = low + u_N * (high - low)
    return np.asarray(np.log10(counts_N) / slope)


@lru_cache(maxsize=1)
def colour_table() -> Floats:
    """Magnitude minus r of the simple spectra, shape (spectrum, redshift, 9)."""
    fluxes = []
    for spectrum_L in SED_MIX @ spectra.data().templates_TL:
        spectrum_ZL = np.broadcast_to(spectrum_L, (len(Z_NODES), len(spectrum_L)))
        fluxes.append(spectra.all_band_fluxes(spectrum_ZL, Z_NODES))
    magnitude_SZB = -2.5 * np.log10(np.stack(fluxes))
    r_SZ1 = magnitude_SZB[:, :, 2:3]
    return np.asarray(magnitude_SZB - r_SZ1)


def draw_faint(dice: Dice, ra_N: Floats, dec_N: Floats) -> Backdrop:
    """Faint galaxies: one Gaussian each, with one of four spectra.

    Redshift and size depend on the magnitude.
    """
    r_N = power_law_magnitude(dice.uniform("r"), FAINT_SLOPE, luminosity.LIMIT, FAINT_LIMIT)
    mean_z_N = 0.33 + 0.11 * (r_N - 20.5)
    z_N = np.clip(mean_z_N * np.exp(0.4 * dice.normal("z")), 0.03, 2.0)
    node_N = np.round((z_N - Z_NODES[0]) / 0.02).astype(np.intp)
    node_N = np.clip(node_N, 0, len(Z_NODES) - 1)
    colour_NB = colour_table()[dice.choice("spectrum", SED_SHARE), node_N]
    scatter_NB = 0.1 * dice.many("colour", 9).normal("scatter").reshape(len(dice), 9)
    scatter_NB[:, 2] = 0.0
    return Backdrop(
        dice=dice,
        ra_N=ra_N,
        dec_N=dec_N,
        flux_NB=10 ** (-0.4 * (r_N[:, None] + colour_NB + scatter_NB)),
        star_N=np.zeros(len(dice), dtype=bool),
        z_N=z_N,
        radius_N=0.75 * 10 ** (-0.09 * (r_N - 20.5)) * np.exp(0.3 * dice.normal("radius")),
        q_N=0.3 + 0.7 * dice.uniform("q"),
        angle_N=np.pi * dice.uniform("angle"),
    )


def star_count_density() -> float:
    """Stars per square degree over the whole `STAR_RANGE`."""
    bright, faint = (10 ** (STAR_SLOPE * (m - 20)) for m in STAR_RANGE)
    return STAR_DENSITY * (faint - bright)


def draw_stars(dice: Dice, ra_N: Floats, dec_N: Floats) -> Backdrop:
    """Stars along the colour locus: turn-off stars, and M dwarfs, whose share grows faintwards."""
    r_N = power_law_magnitude(dice.uniform("r"), STAR_SLOPE, *STAR_RANGE)
    dwarf_share_N = np.clip(0.25 + 0.06 * (r_N - 16), 0.1, 0.75)
    dwarf_N = dice.uniform("population") < dwarf_share_N
    turn_off_gi_N = 0.55 + 0.2 * dice.normal("turn-off") + 0.3 * dice.uniform("tail") ** 2
    dwarf_gi_N = 2.2 + 0.4 * dice.normal("dwarf")
    gi_N = np.where(dwarf_N, np.clip(dwarf_gi_N, 1.0, 3.0), np.clip(turn_off_gi_N, 0.1, 2.9))
    magnitude_NB = _on_locus(r_N, gi_N)
    scatter_NB = LOCUS_SCATTER * dice.many("colour", 9).normal("scatter").reshape(len(dice), 9)
    zero_N = np.zeros(len(dice))
    return Backdrop(
        dice=dice,
        ra_N=ra_N,
        dec_N=dec_N,
        flux_NB=10 ** (-0.4 * (magnitude_NB + scatter_NB)),
        star_N=np.ones(len(dice), dtype=bool),
        z_N=zero_N,
        radius_N=zero_N,
        q_N=np.ones(len(dice)),
        angle_N=zero_N,
    )


def _on_locus(r_N: Floats, gi_N: Floats) -> Floats:
    """Nine magnitudes of stars of the given r and g - i, shape (N, 9)."""
    colour = {name: np.interp(gi_N, LOCUS_GI, values) for name, values in LOCUS.items()}
    g_N = r_N + colour["gr"]
    i_N = g_N - gi_N
    magnitudes = [g_N + colour["ug"], g_N, r_N, i_N]
    steps = []
    for name in ("iZ", "ZY", "YJ", "JH", "HK"):
        steps.append(colour[name])
        magnitudes.append(i_N - np.sum(steps, axis=0))
    return np.stack(magnitudes, axis=1)
