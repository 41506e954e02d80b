"""Distances and volumes in flat LCDM with H0 = 70 km/s/Mpc and Omega_m = 0.3.

Formulas of Hogg (1999, astro-ph/9905116).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HUBBLE_DISTANCE = 299792.458 / 70.0
"""c / H0 (Mpc)."""
OMEGA_M = 0.3
_Z = np.linspace(0.0, 3.0, 6001)
_E = np.sqrt(OMEGA_M * (1 + _Z) ** 3 + 1 - OMEGA_M)
_TRAPEZIA = 0.5 * np.diff(_Z) * (1 / _E[1:] + 1 / _E[:-1])
_COMOVING = HUBBLE_DISTANCE * np.concatenate([[0.0], np.cumsum(_TRAPEZIA)])


def comoving_distance(z: Floats) -> Floats:
    """Line-of-sight comoving distance (Mpc)."""
    return np.interp(z, _Z, _COMOVING)


def distance_modulus(z: Floats) -> Floats:
    """M - M without K-correction (mag)."""
    return np.asarray(5 * np.log10((1 + z) * comoving_distance(z)) + 25)


def kpc_per_arcsec(z: Floats) -> Floats:
    """Proper transverse scale (kpc per arcsecond)."""
    return np.asarray(1000 * comoving_distance(z) / (1 + z) * np.pi / 648000)


def volume_per_square_degree(z: Floats) -> Floats:
    """Comoving volume per unit redshift and square degree (Mpc^3)."""
    per_steradian = HUBBLE_DISTANCE * comoving_distance(z) ** 2 / np.interp(z, _Z, _E)
    return np.asarray(per_steradian * (np.pi / 180) ** 2)
