"""Build ``data/spectra.npz``: the templates, filters and Sersic mixtures that the simulation needs at run time.

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
    steps = np.diff(wave_L) * 0.5 * (flux_L[1:] + flux_L[:-1])
    integral = np.interp(edges, wave_L, np.concatenate([[0.0], np.cumsum(steps)]))
    return np.asarray(np.diff(integral) / np.diff(edges))


def templates() -> NDArray[np.float32]:
    """The five default templates and the LRG of kcorrect, unit mean f_lambda in 5500-6900 A, shape (6, L)."""
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
        lines = (folder / f"{name}.par").read_text().splitlines()
        numbers = [
            line.split() for line in lines if line[:1].isdigit() or line.startswith("KCORRECT")
        ]
        table = np.array(
            [[float(v) for v in row if not v.startswith("KCORRECT")][:2] for row in numbers]
        )
        curve = np.interp(wave, table[:, 0], np.clip(table[:, 1], 0, None), left=0.0, right=0.0)
        curve[curve < 1e-3 * curve.max()] = 0.0
        rows.append(curve / curve.max())
    return np.array(rows, dtype=np.float32)


def sersic_weights(n: float) -> NDArray[np.float64]:
    """Flux in each of the Gaussians `SIGMA_RE` that together follow a Sersic profile of index ``n`` and unit flux.

    Their sum is below 1 for a high index: the missing part lies beyond 12 half-light radii.
    """
    b = gammaincinv(2 * n, 0.5)
    radius = np.geomspace(0.003, 12.0, 400)
    brightness = np.exp(-b * radius ** (1 / n)) * b ** (2 * n) / (2 * np.pi * n * gamma(2 * n))
    sigma = SIGMA_RE[None, :]
    gauss = np.exp(-0.5 * (radius[:, None] / sigma) ** 2) / (2 * np.pi * sigma**2)
    growth = 1 - np.exp(-0.5 * (radius[:, None] / sigma) ** 2)
    light = gammainc(2 * n, b * radius ** (1 / n))
    rows = np.concatenate([gauss * radius[:, None] ** 2, growth])
    target = np.concatenate([brightness * radius**2, light])
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
