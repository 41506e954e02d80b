"""Redshifts of sources whose stamps are at hand: the network on arrays in memory."""

from photoz_models.independence import BATCH
from photoz_models.providers import Provider
from photoz_models.session import PhotozModel
from photoz_run import tile
from photoz_run.config import BUNDLED_MODEL, model_path
from photoz_run.errors import ConfigError
from photoz_run.prediction import join_predictions
from photoz_run.records import Prediction, Sources, Stamps


def load_bundle(
    model: str = BUNDLED_MODEL, provider: Provider = "auto", threads: int | None = None
) -> PhotozModel:
    """Load a model bundle, and check its contract and its golden values on this machine.

    Parameters
    ----------
    model
        Path of a bundle, or the name of a shipped one. The default is trained on simulations: its
        redshifts of real galaxies are not for science.
    provider
        ``cpu``, ``cuda``, or ``auto``: CUDA where it works.
    threads
        Threads of the network; by default all cores that this process may use.

    Raises
    ------
    ConfigError, BundleError
        If there is no such bundle, or it is not what it says.
    """
    return PhotozModel.load(model_path(str(model)), provider, threads=threads)


def predict(bundle: PhotozModel, sources: Sources, stamps: Stamps) -> Prediction:
    """Redshifts of sources with their stamps, as `photoz-run` measures them.

    Parameters
    ----------
    bundle
        That for which the sources' tile was opened.
    sources, stamps
        N sources, and their stamps in the same order.

    Returns
    -------
    Prediction
        ``z_N``, ``quantiles_NQ`` (at ``bundle.contract.quantile_levels``) and
        ``domain_distance_N`` as float32, NaN where there is no redshift; ``flags_N`` as int32.

    Raises
    ------
    ConfigError
        If there are more stamps than sources, or fewer.
    BundleError
        If shapes do not fit the contract.
    """
    number = len(sources)
    if len(stamps.flux_NCHW) != number:
        raise ConfigError(f"{len(stamps.flux_NCHW)} stamps of {number} sources: give one of each")
    # In the batches of a run, so that the last bits are the same too.
    batches = [slice(start, start + BATCH) for start in range(0, max(1, number), BATCH)]
    return join_predictions(
        [tile.predict(bundle, sources.take(rows), stamps.take(rows)) for rows in batches]
    )
