"""What differs from tile to tile: seeing, depth, zero-points, extinction by the Milky Way."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photoz_run.simulation.geometry import PIXEL_SCALE, Cell
from photoz_run.simulation.settings import SimulationSettings

Floats = NDArray[np.float64]

EPOCHS = ("u", "g", "r", "i", "i2", "Z", "Y", "J", "H", "Ks")
"""Observations with their own conditions; the second i pass belongs to DR5."""
DEPTH = {
    "u": 24.23, "g": 25.12, "r": 25.02, "i": 23.68, "i2": 23.75,
    "Z": 23.1, "Y": 22.3, "J": 22.1, "H": 21.5, "Ks": 21.2,
}  # fmt: skip
"""5 sigma in 2 arcsec, AB (Kuijken et al. 2019)."""
SEEING = {
    "u": 1.0,
    "g": 0.9,
    "r": 0.7,
    "i": 0.8,
    "i2": 0.84,
    "Z": 0.9,
    "Y": 0.9,
    "J": 0.9,
    "H": 0.9,
    "Ks": 0.9,
}
SEEING_SCATTER = 0.09
SKY = {"u": 22.3, "g": 22.0, "r": 20.9, "i": 19.6, "i2": 19.6}
"""Sky brightness (AB mag per square arcsec); sets how much Poisson noise the objects add."""
ZERO_POINT_RMS = {
    "u": 0.02, "g": 0.01, "r": 0.01, "i": 0.015, "i2": 0.015,
    "Z": 0.015, "Y": 0.015, "J": 0.02, "H": 0.02, "Ks": 0.02,
}  # fmt: skip
"""Zero-point error that is left after DMAG, the same in pixels and magnitudes."""
DMAG_RMS = 0.05
"""Zero-point error of the pixels that DMAG takes out."""
EXTINCTION_PER_EBV = {
    "u": 4.239, "g": 3.303, "r": 2.285, "i": 1.698, "i2": 1.698,
    "Z": 1.395, "Y": 1.017, "J": 0.705, "H": 0.441, "Ks": 0.308,
}  # fmt: skip
"""A_x / E(B-V) for R_V = 3.1.

Schlafly & Finkbeiner (2011) for ugri, Gonzalez-Fernandez et al. (2018) for VIRCAM.
"""


@dataclass(frozen=True)
class Observation:
    """One epoch of one tile: seeing (arcsec), 5-sigma depth (AB), and zero-point errors (mag).

    Pixels hold the true flux times 10^(0.4 (dmag + zero_point)). Adding ``dmag`` to their
    magnitudes leaves the error ``zero_point``.
    """

    seeing: float
    depth: float
    dmag: float
    zero_point: float
    elongation: float = 0.0
    """As in `SimulationSettings`; so is ``resampled``."""
    resampled: bool = False

    @property
    def point_noise(self) -> float:
        """Noise (maggies) in a 2 arcsec aperture."""
        return float(10 ** (-0.4 * self.depth)) / 5

    @property
    def pixel_noise(self) -> float:
        """Sky noise per pixel (maggies): an aperture of 1 arcsec radius holds 78.5 pixels."""
        return self.point_noise / float(np.sqrt(np.pi / PIXEL_SCALE**2))

    @property
    def pixel_gain(self) -> float:
        """Factor from true flux to pixel flux."""
        return float(10 ** (0.4 * (self.dmag + self.zero_point)))


def observe(settings: SimulationSettings, cell: Cell) -> dict[str, Observation]:
    """The conditions of every epoch of a tile."""
    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 1, *cell.words]))
    return {epoch: _draw(settings, epoch, rng) for epoch in EPOCHS}


def _draw(settings: SimulationSettings, epoch: str, rng: np.random.Generator) -> Observation:
    """The conditions of one epoch; only the optical bands have images, and so a DMAG."""
    width = np.clip(1 + SEEING_SCATTER * rng.standard_normal(), 0.75, 1.4)
    depth = DEPTH[epoch] - settings.shallower + 0.07 * float(rng.standard_normal())
    dmag = round(DMAG_RMS * float(rng.standard_normal()), 6) if epoch in SKY else 0.0
    zero_point = ZERO_POINT_RMS[epoch] * float(rng.standard_normal())
    return Observation(
        SEEING[epoch] * float(width),
        depth,
        dmag,
        zero_point,
        settings.elongation,
        settings.resampled,
    )


def reddening(ra_N: Floats, dec_N: Floats) -> Floats:
    """E(B-V) of the Milky Way (mag): a smooth invented map of high latitudes, 0.01 to 0.09."""
    ra, dec = np.radians(ra_N), np.radians(dec_N)
    x, y, z = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
    wave = (
        np.sin(23 * x + 41 * y - 17 * z)
        + 0.6 * np.sin(97 * y - 61 * z + 1.0)
        + 0.3 * np.sin(310 * x - 270 * y + 190 * z)
    )
    return np.asarray(0.035 * np.exp(0.4 * wave))
