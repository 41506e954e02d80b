"""What a network says of sources, and what is to be said of that: flags, and no redshift."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photoz_models.contract import ModelContract
from photoz_models.golden import Outputs
from photoz_models.independence import BATCH
from photoz_models.runtime import GraphRunError
from photoz_models.session import PhotozModel
from photoz_run import flags
from photoz_run.errors import GpuError, TransientError
from photoz_run.records import Prediction

AT_LIMIT = 1e-4
"""Share of the redshift range that counts as its end."""


def infer(
    model: PhotozModel, stamps_NCHW: NDArray[np.float32], table_NT: NDArray[np.float32]
) -> Outputs:
    """Run the network on at most `BATCH` sources, padded to so many: z, quantiles, distance.

    Raises
    ------
    GpuError, TransientError
        If a GPU failed: one that computes nothing any more, and one that still does.
    """
    n = len(table_NT)
    try:
        z_N, quantiles_NQ, domain_N = model.predict(_padded(stamps_NCHW), _padded(table_NT))
    except GraphRunError as error:
        if model.provider == "cpu":
            raise
        # A process whose GPU has failed, or has no memory left, would fail every tile from now on.
        if not model.still_computes(BATCH):
            raise GpuError(f"{model.computes_on} computes no longer: {error}") from error
        raise TransientError(f"{model.computes_on} failed: {error}") from error
    return z_N[:n].copy(), quantiles_NQ[:n].copy(), domain_N[:n].copy()


def blind(
    contract: ModelContract, stamps_NCHW: NDArray[np.float32], table_NT: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Sources of which no pixel, or no magnitude, is known, though the network asks for some."""
    blind_N = np.zeros(len(table_NT), bool)
    if contract.magnitude_bands:
        magnitudes_NB = table_NT[:, : len(contract.magnitude_bands)]
        blind_N |= np.isnan(magnitudes_NB).all(axis=1)
    if contract.image_bands:
        blind_N |= ~np.isfinite(stamps_NCHW).any(axis=(1, 2, 3))
    return blind_N


def judged(
    contract: ModelContract,
    outputs: Outputs,
    blind_N: NDArray[np.bool_],
    flags_N: NDArray[np.int32],
) -> Prediction:
    """Outputs as a prediction: blind sources have none; limits and the domain are flagged.

    Parameters
    ----------
    contract, outputs
        Of the network.
    blind_N
        Sources that the network knew nothing of (`blind`).
    flags_N
        What is known of the sources already.
    """
    z_N, quantiles_NQ, domain_N = outputs
    blind_N = blind_N | ~np.isfinite(z_N)
    for values in (z_N, quantiles_NQ, domain_N):
        values[blind_N] = np.nan
    tolerance = AT_LIMIT * (contract.z_max - contract.z_min)
    with np.errstate(invalid="ignore"):
        at_limit_N = (z_N <= contract.z_min + tolerance) | (z_N >= contract.z_max - tolerance)
        outside_N = domain_N > 1
    flags_N = flags_N | flags.mark(blind_N, "NO_REDSHIFT")
    flags_N |= flags.mark(at_limit_N, "Z_LIMIT")
    flags_N |= flags.mark(outside_N, "OUT_OF_DOMAIN")
    return Prediction(z_N, quantiles_NQ, domain_N, flags_N)


def join_predictions(parts: Sequence[Prediction]) -> Prediction:
    """Several predictions as one, in order."""
    return Prediction(
        np.concatenate([part.z_N for part in parts]),
        np.concatenate([part.quantiles_NQ for part in parts]),
        np.concatenate([part.domain_distance_N for part in parts]),
        np.concatenate([part.flags_N for part in parts]),
    )


def _padded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows of one batch, filled up with NaN."""
    missing = BATCH - len(values)
    if missing <= 0:
        return values
    filler = np.full((missing, *values.shape[1:]), np.nan, values.dtype)
    return np.concatenate([values, filler])
