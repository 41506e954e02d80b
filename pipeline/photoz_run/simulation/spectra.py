"""Spectra as sums of templates on one logarithmic wavelength grid, and their band fluxes."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

OLD_DUSTY, NEBULAR, INTERMEDIATE, OLD, YOUNG, LUMINOUS_RED = range(6)
"""Rows of the templates (kcorrect default v4, then its LRG template)."""
BANDS = ("u", "g", "r", "i", "Z", "Y", "J", "H", "Ks")


@dataclass(frozen=True)
class SpectralData:
    """The data file: templates, AB filter weights, and the Gaussian mixtures of Sersic profiles."""

    ln_wave_L: Floats
    templates_TL: Floats
    weights_BL: Floats
    sersic_n: Floats
    sersic_sigma: Floats
    sersic_weights: Floats

    @property
    def step(self) -> float:
        """Grid step in ln wavelength."""
        return float(self.ln_wave_L[1] - self.ln_wave_L[0])


@lru_cache(maxsize=1)
def data() -> SpectralData:
    """Load the data file once.

    The filter weights turn f_lambda into a flux relative to AB zero, up to one constant. They are
    photon weights, sum(f_lambda lambda^2 T) / sum(T) on a logarithmic grid (Fukugita et al. 1996,
    eq. 7).
    """
    with (
        (files("photoz_run.simulation") / "data" / "spectra.npz").open("rb") as stream,
        np.load(stream) as arrays,
    ):
        ln_wave = arrays["ln_wave"]
        filters = arrays["filters_BL"].astype(np.float64)
        lambda_squared = np.exp(2 * (ln_wave - ln_wave[0]))
        weights = filters * lambda_squared / filters.sum(axis=1, keepdims=True)
        return SpectralData(
            ln_wave,
            arrays["templates_TL"].astype(np.float64),
            weights,
            arrays["sersic_n"],
            arrays["sersic_sigma"],
            arrays["sersic_weights"],
        )


def band_flux(spectrum_NL: Floats, z_N: Floats, band: int) -> Floats:
    """Flux in ``band`` (index into `BANDS`) of rest-frame spectra f_lambda at redshifts ``z_N``.

    It includes the factor 1 / (1 + z) of the band width, but not the distance. The unit is
    arbitrary and the same in all bands. The spectrum is shifted by ln(1 + z), with linear
    interpolation between grid points.
    """
    weights_L = data().weights_BL[band]
    inside = np.flatnonzero(weights_L)
    shift_N = np.log1p(z_N) / data().step
    whole_N = np.floor(shift_N).astype(np.intp)
    index_NW = np.maximum(inside[None, :] - whole_N[:, None], 1)
    row_N1 = np.arange(len(z_N))[:, None]
    part_N = shift_N - whole_N
    lower_N = spectrum_NL[row_N1, index_NW] @ weights_L[inside]
    upper_N = spectrum_NL[row_N1, index_NW - 1] @ weights_L[inside]
    return cast(Floats, ((1 - part_N) * lower_N + part_N * upper_N) / (1 + z_N))


def all_band_fluxes(spectrum_NL: Floats, z_N: Floats) -> Floats:
    """`band_flux` in all nine bands, shape (N, 9)."""
    fluxes = [band_flux(spectrum_NL, z_N, band) for band in range(len(BANDS))]
    return np.stack(fluxes, axis=1)


def dust_transmission(a_v_N: Floats, slope_N: Floats) -> Floats:
    """Fraction of light that passes a screen of dust, shape (N, L).

    The screen has the extinction A_V (lambda / 5500 A)^-slope.
    """
    log_ratio_L = data().ln_wave_L - np.log(5500.0)
    curve_NL = np.exp(-slope_N[:, None] * log_ratio_L)
    return np.asarray(np.exp(-0.4 * np.log(10) * a_v_N[:, None] * curve_NL))


def tilt(slope_N: Floats) -> Floats:
    """Factor that makes spectra redder by ``slope_N`` mag per unit of ln wavelength.

    Its shape is (N, L); it is 1 at 5500 A.
    """
    log_ratio_L = data().ln_wave_L - np.log(5500.0)
    return np.asarray(np.exp(0.4 * np.log(10) * slope_N[:, None] * log_ratio_L))


@lru_cache(maxsize=2)
def smooth_basis(rms: float, length: float) -> Floats:
    """Basis (K, L) of a Gaussian process in ln wavelength.

    Unit normal coefficients give curves of the stated rms. The covariance is a squared
    exponential. Its strongest eigenvectors on coarse nodes are brought to the fine grid by the
    process's own (kriging) interpolation.
    """
    fine_L = data().ln_wave_L
    node_M = np.arange(fine_L[0], fine_L[-1] + length, length / 2)

    def covariance(x: Floats) -> Floats:
        distance = (x[:, None] - node_M[None, :]) / length
        return np.asarray(rms**2 * np.exp(-0.5 * distance**2))

    value_M, vector_MM = np.linalg.eigh(covariance(node_M))
    strong_M = value_M > 1e-3 * value_M.max()
    scaled_MK = vector_MM[:, strong_M] / np.sqrt(value_M[strong_M])
    basis_LK = covariance(fine_L) @ scaled_MK
    return np.asarray(basis_LK.T)
