"""Well-known regressors on the same magnitudes, to judge the baseline of the comparison."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from photoz_models.examples import Examples, Split
from photoz_run.science.statistics import normalised_residual, smad
from photoz_run.training.comparison import Row, measure

SEED = 1


@dataclass(frozen=True)
class Peer:
    """A kind of regressor and the settings that are tried."""

    name: str
    candidates: tuple[Any, ...]


def peers() -> tuple[Peer, ...]:
    """Histogram gradient boosting and a multi-layer perceptron, a few settings of each."""
    boosting = tuple(_boosting(rate, leaves) for rate in (0.03, 0.1) for leaves in (15, 31, 63))
    perceptrons = tuple(_perceptron(widths) for widths in ((64, 64), (128, 128, 64)))
    return (
        Peer("scikit-learn gradient boosting", boosting),
        Peer("scikit-learn perceptron", perceptrons),
    )


def peer_rows(
    training: Examples, split: Split, test: Examples, rows_N: NDArray[np.int64]
) -> list[Row]:
    """Measure each peer on ``rows_N`` of ``test``.

    It is fitted to the training part; its settings are those with the least SMAD on the
    validation part.
    """
    bands = training.facts.rule.magnitude_bands
    features_NF = magnitudes_and_colours(training.magnitudes_NB)
    new_NF = magnitudes_and_colours(test.narrowed((), bands).magnitudes_NB[rows_N])
    z_N = np.asarray(training.z_N)
    train_N, validation_N = split.train_N, split.validation_N
    rows = []
    for peer in peers():
        fitted = [model.fit(features_NF[train_N], z_N[train_N]) for model in peer.candidates]
        scatters = [
            _scatter(model, features_NF[validation_N], z_N[validation_N]) for model in fitted
        ]
        best = fitted[int(np.argmin(scatters))]
        z_phot_N = best.predict(new_NF).astype(np.float32)
        nothing_NQ = np.zeros((len(rows_N), 0), np.float32)
        outputs = z_phot_N, nothing_NQ, z_phot_N
        rows.append(Row(peer.name, measure(outputs, test.z_N[rows_N], test.tile_N[rows_N], ())))
    return rows


def magnitudes_and_colours(magnitudes_NB: NDArray[np.float32]) -> NDArray[np.float32]:
    """Magnitudes and the colours of neighbouring bands."""
    return np.hstack([magnitudes_NB, magnitudes_NB[:, :-1] - magnitudes_NB[:, 1:]])


def _boosting(rate: float, leaves: int) -> Any:
    return HistGradientBoostingRegressor(
        max_iter=1500,
        learning_rate=rate,
        max_leaf_nodes=leaves,
        early_stopping=True,
        random_state=SEED,
    )


def _perceptron(widths: tuple[int, ...]) -> Any:
    perceptron = MLPRegressor(
        hidden_layer_sizes=widths,
        alpha=1e-4,
        early_stopping=True,
        max_iter=200,
        n_iter_no_change=15,
        random_state=SEED,
    )
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(imputer, StandardScaler(), perceptron)


def _scatter(model: Any, features_NF: NDArray[np.float32], z_N: NDArray[np.float32]) -> float:
    return float(smad(normalised_residual(model.predict(features_NF), z_N)))
