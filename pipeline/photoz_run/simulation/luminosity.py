"""How many galaxies of which type, redshift and absolute magnitude there are.

The luminosity functions are those of GAMA.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from photoz_run.simulation import cosmology, spectra
from photoz_run.simulation.dice import Dice

Floats = NDArray[np.float64]

Z_RANGE = (0.01, 0.75)
K_MARGIN = 0.4
"""Galaxies are drawn this far (mag) beyond the limit, by a mean K-correction.

Then they are cut at the limit by their own spectra.
"""
LIMIT = 20.5
"""The drawn population is complete to this r magnitude; the release sample ends at 20."""
_M = np.arange(-25.0, -11.95, 0.1)
_DZ = 0.005
_Z = np.arange(Z_RANGE[0] + _DZ / 2, Z_RANGE[1], _DZ)


@dataclass(frozen=True)
class Schechter:
    """Schechter function in 0.1r with linear evolution (form of Loveday et al. 2012), h = 1."""

    alpha: float
    m_star: float
    phi_star: float
    q: float
    p: float

    def density(self, m: Floats, z: Floats) -> Floats:
        """Galaxies per Mpc^3 and mag at absolute magnitude ``m``, both for H0 = 70."""
        m_star = self.m_star - self.q * (z - 0.1) + 5 * np.log10(0.7)
        phi_star = self.phi_star * 10 ** (0.4 * self.p * z) * 0.7**3
        light = 10 ** (-0.4 * (m - m_star))
        power_law = 0.4 * np.log(10) * phi_star * light ** (self.alpha + 1)
        return np.asarray(power_law * np.exp(-light))


BLUE = Schechter(alpha=-1.45, m_star=-20.45, phi_star=0.0038, q=0.8, p=2.9)
RED = Schechter(alpha=-0.57, m_star=-20.34, phi_star=0.0111, q=1.8, p=-1.2)


def k_correction(spectrum_L: Floats, z: Floats) -> Floats:
    """m_r - M_0.1r - distance modulus of one rest-frame spectrum at redshifts ``z``."""
    band = spectra.BANDS.index("r")
    spectrum_NL = np.broadcast_to(spectrum_L, (len(z), len(spectrum_L)))
    seen = spectra.band_flux(spectrum_NL, z, band)
    reference = spectra.band_flux(spectrum_L[None, :], np.array([0.1]), band)
    return np.asarray(-2.5 * np.log10(seen / reference) - 2.5 * np.log10(1.1))


@lru_cache(maxsize=1)
def density_table() -> Floats:
    """Galaxies per square degree by type (blue, red), redshift and absolute magnitude."""
    templates = spectra.data().templates_TL
    typical = (
        0.5 * (templates[spectra.INTERMEDIATE] + templates[spectra.YOUNG]),
        templates[spectra.OLD],
    )
    volume_Z = cosmology.volume_per_square_degree(_Z) * _DZ
    tables = []
    for function, spectrum_L in zip((BLUE, RED), typical, strict=True):
        dimming_Z = cosmology.distance_modulus(_Z) + k_correction(spectrum_L, _Z)
        apparent_ZM = _M[None, :] + dimming_Z[:, None]
        number_ZM = function.density(_M[None, :], _Z[:, None]) * volume_Z[:, None] * 0.1
        tables.append(np.where(apparent_ZM < LIMIT + K_MARGIN, number_ZM, 0.0))
    return np.stack(tables)


def draw(dice: Dice) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Draw type (True for red), redshift and M_0.1r (H0 = 70) of each galaxy from the table."""
    table = density_table()
    cell_N = dice.choice("luminosity function", table.ravel())
    type_N, z_bin_N, m_bin_N = np.unravel_index(cell_N, table.shape)
    z_N = _Z[z_bin_N] + _DZ * (dice.uniform("redshift") - 0.5)
    m_N = _M[m_bin_N] + 0.1 * (dice.uniform("magnitude") - 0.5)
    return type_N == 1, z_N, m_N
