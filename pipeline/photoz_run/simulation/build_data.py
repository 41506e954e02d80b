"""Build ``data/spectra.npz``: the templates, filters and Sersic mixtures of the simulation.

Run once, where ``kcorrect``, ``astro-sedpy`` and ``scipy`` are installed::

    python -m photoz_run.simulation.build_data

so that simulating needs numpy alone. The licences of the two sources are in ``data/LICENCES.md``.
"""

from importlib.resources import files
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import gamma, gammainc, gammaincinv

STEP = 0.002
LN_WAVE = np.log(900.0) + STEP * np.arange(1673)
FILTERS = {
    "u": "sdss_u0", "g": "sdss_g0", "r": "sdss_r0", "i": "sdss_i0", "Z": "vista_vircam_Z",
    "Y": "vista_vircam_Y", "J": "vista_vircam_J", "H": "vista_vircam_H", "Ks": "vista_vircam_Ks",
}  # fmt: skip
SERSIC_N = np.concatenate([np.arange(0.5, 1.5, 0.1), np.arange(1.5, 6.01, 0.25)])
SIGMA_RE = np.geomspace(0.02, 6.0, 14)
"""Dispersions of the Gaussians of a Sersic profile, in half-light radii."""


def rebin(wave_L: NDArray[np.float64], flux_L: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean flux density within each bin of `LN_WAVE`, so that emission lines keep their flux."""
    edges = np.exp(np.append(LN_WAVE - STEP / 2, LN_WAVE[-1] + STEP / 2))
    trapezium_L = np.diff(wave_L) * 0.5 * (flux_L[1:] + flux_L[:-1])
    integral_L = np.concatenate([[0.0], np.cumsum(trapezium_L)])
    integral = np.interp(edges, wave_L, integral_L)
    return np.asarray(np.diff(integral) / np.diff(edges))


def templates() -> NDArray[np.float32]:
    """The five default templates and the LRG of kcorrect, shape (6, L).

    Each has a mean f_lambda of 1 between 5500 and 6900 A.
    """
    folder = files("kcorrect") / "data" / "templates"
    rows = []
    for name in ("kcorrect-default-v4.fits", "kcorrect-lrg1-v4.fits"):
        table = fits.getdata(str(folder / name), 1)
        wave = np.asarray(table["wave"][0], dtype=float)
        for flux in np.atleast_2d(np.asarray(table["flux"][0], dtype=float)):
            inside = (wave > 5500) & (wave < 6900)
            mean = np.trapezoid(flux[inside], wave[inside]) / np.ptp(wave[inside])
            rows.append(rebin(wave, flux / mean))
    return np.array(rows, dtype=np.float32)


def filters() -> NDArray[np.float32]:
    """The nine transmission curves on the common grid, each with unit peak, shape (9, L)."""
    folder = Path(str(files("sedpy"))) / "data" / "filters"
    wave = np.exp(LN_WAVE)
    rows = []
    for name in FILTERS.values():
        table = _read_filter(folder / f"{name}.par")
        transmission = np.clip(table[:, 1], 0, None)
        curve = np.interp(wave, table[:, 0], transmission, left=0.0, right=0.0)
        curve[curve < 1e-3 * curve.max()] = 0.0
        rows.append(curve / curve.max())
    return np.array(rows, dtype=np.float32)


def _read_filter(path: Path) -> NDArray[np.float64]:
    """Wavelength (A) and transmission of a filter file of sedpy; some of its lines are labelled."""
    rows = []
    for line in path.read_text().splitlines():
        words = line.split()
        if line.startswith("KCORRECT"):
            words = words[1:]
        elif not line[:1].isdigit():
            continue
        rows.append([float(word) for word in words[:2]])
    return np.array(rows)


def sersic_weights(n: float) -> NDArray[np.float64]:
    """Flux in each of the Gaussians `SIGMA_RE` that together follow a Sersic profile.

    The profile has index ``n`` and unit flux. The sum is below 1 for a high index: the missing
    part lies beyond 12 half-light radii.
    """
    b = gammaincinv(2 * n, 0.5)
    radius_R = np.geomspace(0.003, 12.0, 400)
    scaled_R = b * radius_R ** (1 / n)
    total = 2 * np.pi * n * gamma(2 * n)
    brightness_R = np.exp(-scaled_R) * b ** (2 * n) / total
    light_R = gammainc(2 * n, scaled_R)
    fall_RG = np.exp(-0.5 * (radius_R[:, None] / SIGMA_RE) ** 2)
    gauss_RG = fall_RG / (2 * np.pi * SIGMA_RE**2)
    # Brightness and growth curve are fitted together, so that centre and total both come right.
    rows = np.concatenate([gauss_RG * radius_R[:, None] ** 2, 1 - fall_RG])
    target = np.concatenate([brightness_R * radius_R**2, light_R])
    weights, _ = nnls(rows, target)
    return np.asarray(weights)


def main() -> None:
    """Write the data file beside this module."""
    target = Path(__file__).parent / "data" / "spectra.npz"
    np.savez_compressed(
        target,
        ln_wave=LN_WAVE,
        templates_TL=templates(),
        filters_BL=filters(),
        sersic_n=SERSIC_N,
        sersic_sigma=SIGMA_RE,
        sersic_weights=np.array([sersic_weights(n) for n in SERSIC_N]),
    )
    print(f"{target.name}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
