"""Golden values: outputs of a bundle for inputs that every machine can make again from a seed."""

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from photoz_models.errors import BundleError

Inputs = tuple[NDArray[np.float32], NDArray[np.float32]]
"""stamps_NCHW, table_NT."""

Outputs = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""z_N, quantiles_NQ, domain_distance_N."""

SKY_MAGGIES = 3e-12
"""Noise per pixel of the golden stamps: about that of a KiDS coadd."""


TOLERANCE_Z = 5e-5
TOLERANCE_DOMAIN = 1e-3
"""How far golden values may be off on another machine; a bundle cannot allow itself more."""

MOST_GALAXIES = 100
"""A bundle cannot ask for more; the project's own have twelve."""


class Golden(BaseModel):
    """Expected outputs (None = NaN) for inputs of ``recipe`` and ``seed``, and the tolerance."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    recipe: Literal["galaxies-v1"] = "galaxies-v1"
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    number: Annotated[int, Field(gt=0, le=MOST_GALAXIES)]
    z_N: tuple[float | None, ...]
    quantiles_NQ: tuple[tuple[float | None, ...], ...]
    domain_distance_N: tuple[float | None, ...]
    tolerance_z: Annotated[float, Field(ge=0, le=TOLERANCE_Z)] = TOLERANCE_Z
    tolerance_domain: Annotated[float, Field(ge=0, le=TOLERANCE_DOMAIN)] = TOLERANCE_DOMAIN

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        values = (self.z_N, self.quantiles_NQ, self.domain_distance_N)
        if any(len(one_N) != self.number for one_N in values):
            raise ValueError(f"golden values are not those of {self.number} galaxies")
        if len({len(quantiles_Q) for quantiles_Q in self.quantiles_NQ}) > 1:
            raise ValueError("golden galaxies have different numbers of quantiles")
        if all(z is None for z in self.z_N):
            raise ValueError("no golden redshift is a number")
        return self


def uniform(seed: int, size: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) from the raw PCG64 stream, which numpy never changes."""
    raw = np.random.PCG64(seed).random_raw(size) >> np.uint64(11)
    return raw.astype(np.float64) * 2.0**-53


def golden_inputs(
    seed: int,
    number: int,
    n_image_bands: int,
    n_magnitude_bands: int,
    stamp_size: int,
    n_seeing_bands: int = 0,
) -> Inputs:
    """Round galaxies on sky noise with magnitudes, every third with a gap: recipe ``galaxies-v1``.

    Returns
    -------
    stamps_NCHW : float32, maggies
    table_NT : float32, AB magnitudes, then the seeing of ``n_seeing_bands``, 0.5 to 1.2 arcsec
        In rows 1, 4, 7, ... one number is NaN. In rows 2, 5, 8, ... one number, one image band and
        the right-hand pixels of another band are.
    """
    shape = (number, n_image_bands, stamp_size, stamp_size)
    numbers = uniform(seed, number * 3 + int(np.prod(shape)))
    total_N, slope_N, size_N, noise = np.split(numbers, np.cumsum([number] * 3))
    r_N = 17.0 + 3.0 * total_N
    colour_N = 0.1 + 0.9 * slope_N
    magnitudes_NB = _spectrum(r_N, colour_N, n_magnitude_bands)
    band_NC = _spectrum(r_N, colour_N, n_image_bands)
    variance_N11 = (2.0 + 3.0 * size_N[:, None, None]) ** 2
    offset = np.arange(stamp_size) - stamp_size / 2
    radius2_HW = offset[:, None] ** 2 + offset[None, :] ** 2
    profile_NHW = np.exp(-radius2_HW / (2 * variance_N11)) / (2 * np.pi * variance_N11)
    stamps_NCHW = 10 ** (-0.4 * band_NC)[:, :, None, None] * profile_NHW[:, None]
    stamps_NCHW += SKY_MAGGIES * np.sqrt(12.0) * (noise.reshape(shape) - 0.5)
    # Another stream: the rest stays what it is without seeing.
    share_NS = uniform(seed + 1, number * n_seeing_bands).reshape(number, n_seeing_bands)
    table_NT = np.hstack([magnitudes_NB, 0.5 + 0.7 * share_NS])
    _put_gaps(stamps_NCHW, table_NT)
    return stamps_NCHW.astype(np.float32), table_NT.astype(np.float32)


def _spectrum(
    r_N: NDArray[np.float64], colour_N: NDArray[np.float64], n_bands: int
) -> NDArray[np.float64]:
    band = np.arange(n_bands)
    numerator_NB = colour_N[:, None] * (2.0 - band)
    spectrum_NB: NDArray[np.float64] = r_N[:, None] + numerator_NB / (1.0 + 0.5 * band)
    return spectrum_NB


def _put_gaps(stamps_NCHW: NDArray[np.float64], table_NT: NDArray[np.float64]) -> None:
    number, n_image_bands = stamps_NCHW.shape[:2]
    for row in range(number):
        if row % 3 == 0:
            continue
        if table_NT.shape[1]:
            table_NT[row, row % table_NT.shape[1]] = np.nan
        if row % 3 == 2 and n_image_bands:
            stamps_NCHW[row, row % n_image_bands] = np.nan
            stamps_NCHW[row, (row + 1) % n_image_bands, :, -stamps_NCHW.shape[3] // 3 :] = np.nan


def record(seed: int, outputs: Outputs) -> Golden:
    """The golden record of ``outputs`` obtained from `golden_inputs` with ``seed``."""
    z_N, quantiles_NQ, domain_distance_N = outputs
    return Golden(
        seed=seed,
        number=len(z_N),
        z_N=tuple(_listed(z_N)),
        quantiles_NQ=tuple(tuple(_listed(quantiles_Q)) for quantiles_Q in quantiles_NQ),
        domain_distance_N=tuple(_listed(domain_distance_N)),
    )


def largest_difference(golden: Golden, outputs: Outputs) -> tuple[float, float]:
    """Largest difference from the record: in z and quantiles, and in domain distance.

    It is infinite where only one of the two is NaN.

    Raises
    ------
    BundleError
        If the shapes differ.
    """
    z_N, quantiles_NQ, domain_distance_N = outputs
    in_z = _difference(golden.z_N, z_N)
    in_quantiles = _difference(golden.quantiles_NQ, quantiles_NQ)
    in_domain = _difference(golden.domain_distance_N, domain_distance_N)
    return max(in_z, in_quantiles), in_domain


def in_given_order(outputs: Outputs, order_N: NDArray[np.int64]) -> Outputs:
    """Outputs of the rows ``order_N``, put back into the order of the rows."""
    back_N = np.argsort(order_N)
    z_N, quantiles_NQ, domain_distance_N = outputs
    return z_N[back_N], quantiles_NQ[back_N], domain_distance_N[back_N]


def _listed(values_N: NDArray[np.float32]) -> list[float | None]:
    return [float(str(value)) if np.isfinite(value) else None for value in values_N]


def _difference(expected: object, answer: NDArray[np.float32]) -> float:
    wanted = np.array(expected, dtype=np.float64)
    if wanted.shape != answer.shape:
        raise BundleError(
            f"golden values have shape {wanted.shape}, the graph returns {answer.shape}"
        )
    finite = np.isfinite(wanted)
    if not np.array_equal(finite, np.isfinite(answer)):
        return float("inf")
    return float(np.max(np.abs(wanted - answer), initial=0.0, where=finite))
