"""A last look at a wrapped network: does it answer for all kinds of galaxies, and to its inputs."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photoz_models.errors import BundleError
from photoz_models.golden import Inputs, Outputs, golden_inputs
from photoz_models.session import PhotozModel

SEED = 77
NUMBER = 48

BRIGHT, FAINT = -8.0, 8.0
"""Magnitudes by which the same galaxies are made brighter and fainter."""


def check_influence(z_N: NDArray[np.float32], graph: Path) -> None:
    """Refuse a network that gives all golden galaxies the same redshift.

    Parameters
    ----------
    z_N
        Redshifts without limits.

    Raises
    ------
    BundleError
        If they do not differ: the inputs do not reach the network as it knows them.
    """
    known_N = z_N[np.isfinite(z_N)]
    if len(known_N) and np.ptp(known_N) == 0:
        raise BundleError(
            f"{graph}: every galaxy gets z = {known_N[0]:.4g}: the specification's flux_scale,"
            " stretch, magnitude_mean and magnitude_scale are not those of its training"
        )


def check_answers(model: PhotozModel) -> list[str]:
    """Run a bundle over generated galaxies, very bright and very faint ones among them.

    Returns
    -------
    list of str
        Inputs that change nothing, which is strange.

    Raises
    ------
    BundleError
        If a complete galaxy gets no redshift, or quantiles decrease or leave the limits.
    """
    contract = model.contract
    bands = len(contract.image_bands), len(contract.magnitude_bands)
    seeing = len(contract.seeing_bands)
    inputs = golden_inputs(SEED, NUMBER, *bands, contract.stamp_size, seeing)
    outputs = model.predict(*inputs)
    complete_N = np.arange(NUMBER) % 3 == 0
    lost = int(np.count_nonzero(~np.isfinite(outputs[0][complete_N])))
    if lost:
        raise BundleError(
            f"{contract.name}: {lost} of {np.count_nonzero(complete_N)} complete galaxies get no"
            " redshift"
        )
    for magnitudes in (0.0, BRIGHT, FAINT):
        _check_quantiles(model, model.predict(*_fainter(inputs, magnitudes)))
    return [
        f"redshifts are the same whatever the {name} are: is that how the network knows them?"
        for name, changed in _of_other_galaxies(inputs, bands).items()
        if np.array_equal(model.predict(*changed)[0], outputs[0], equal_nan=True)
    ]


def _fainter(inputs: Inputs, magnitudes: float) -> Inputs:
    stamps_NCHW, table_NT = inputs
    factor = np.float32(10 ** (-0.4 * magnitudes))
    return stamps_NCHW * factor, table_NT + np.float32(magnitudes)


def _of_other_galaxies(inputs: Inputs, bands: tuple[int, int]) -> dict[str, Inputs]:
    stamps_NCHW, table_NT = inputs
    rolled = np.roll(stamps_NCHW, 1, axis=0), np.roll(table_NT, 1, axis=0)
    changed: dict[str, Inputs] = {}
    if bands[0]:
        changed["stamps"] = (rolled[0], table_NT)
    if bands[1]:
        changed["magnitudes"] = (stamps_NCHW, rolled[1])
    return changed


def _check_quantiles(model: PhotozModel, outputs: Outputs) -> None:
    contract, quantiles_NQ = model.contract, outputs[1]
    known_NQ = quantiles_NQ[np.isfinite(quantiles_NQ).all(axis=1)]
    if (np.diff(known_NQ, axis=1) < 0).any():
        raise BundleError(f"{contract.name}: quantiles decrease: is a width negative?")
    values = np.concatenate([known_NQ.ravel(), outputs[0][np.isfinite(outputs[0])]])
    slack = 1e-6
    if values.size and not contract.z_min - slack <= values.min() <= values.max() <= (
        contract.z_max + slack
    ):
        raise BundleError(f"{contract.name}: redshifts leave {contract.z_min} to {contract.z_max}")
