"""Well-known regressors on the same magnitudes, so that the baseline of the comparison is an honest one."""

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
    boosting = tuple(
        HistGradientBoostingRegressor(
            max_iter=1500,
            learning_rate=rate,
            max_leaf_nodes=leaves,
            early_stopping=True,
            random_state=SEED,
        )
        for rate in (0.03, 0.1)
        for leaves in (15, 31, 63)
    )
    perceptrons = tuple(
        make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            MLPRegressor(
                hidden_layer_sizes=widths,
                alpha=1e-4,
                early_stopping=True,
                max_iter=200,
                n_iter_no_change=15,
                random_state=SEED,
            ),
        )
        for widths in ((64, 64), (128, 128, 64))
    )
    return Peer("scikit-learn gradient boosting", boosting), Peer(
        "scikit-learn perceptron", perceptrons
    )


def peer_rows(
    training: Examples, split: Split, test: Examples, rows_N: NDArray[np.int64]
) -> list[Row]:
    """Fit each peer on the training part, choose its settings on the validation part, measure it on ``rows_N``."""
    bands = training.facts.rule.magnitude_bands
    features_NF = magnitudes_and_colours(training.magnitudes_NB)
    z_N = np.asarray(training.z_N)
    new_NF = magnitudes_and_colours(test.narrowed((), bands).magnitudes_NB[rows_N])
    rows = []
    for peer in peers():
        fitted = [
            model.fit(features_NF[split.train_N], z_N[split.train_N]) for model in peer.candidates
        ]
        scatters = [_scatter(model, features_NF, z_N, split.validation_N) for model in fitted]
        best = fitted[int(np.argmin(scatters))]
        z_phot_N = best.predict(new_NF).astype(np.float32)
        nothing_NQ = np.zeros((len(rows_N), 0), np.float32)
        figures = measure(
            (z_phot_N, nothing_NQ, z_phot_N), test.z_N[rows_N], test.tile_N[rows_N], ()
        )
        rows.append(Row(peer.name, figures))
    return rows


def magnitudes_and_colours(magnitudes_NB: NDArray[np.float32]) -> NDArray[np.float32]:
    """Magnitudes and the colours of neighbouring bands."""
    return np.hstack([magnitudes_NB, magnitudes_NB[:, :-1] - magnitudes_NB[:, 1:]])


def _scatter(
    model: Any,
    features_NF: NDArray[np.float32],
    z_N: NDArray[np.float32],
    rows_N: NDArray[np.int64],
) -> float:
    return float(smad(normalised_residual(model.predict(features_NF[rows_N]), z_N[rows_N])))
