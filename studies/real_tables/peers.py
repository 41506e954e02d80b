"""Other methods on the parts of a table: ``python peers.py METHOD PARTS.npz ANSWERS.npz``.

It runs in an environment of its own, which `peers.txt` describes, and imports nothing of
photoz-run. Each method is fitted to the training part. Its settings are those of its candidates
with the least SMAD on the validation part.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVELS = (0.025, 0.16, 0.84, 0.975)
"""Quantiles that a method gives if it gives distributions."""

SEED = 1
THREADS = int(os.environ.get("OMP_NUM_THREADS", "-1"))
PACKAGES = ("scikit-learn", "catboost", "flexcode", "xgboost", "pz-rail-gpz-v1")


@dataclass(frozen=True)
class Part:
    """Galaxies: magnitudes and their errors (mag, NaN where missing), spectroscopic redshifts."""

    magnitudes_NB: Floats
    errors_NB: Floats
    z_N: Floats


@dataclass(frozen=True)
class Parts:
    """What a method is fitted to, chosen by and asked for. ``test`` has no redshifts."""

    train: Part
    validation: Part
    test: Part


@dataclass(frozen=True)
class Answers:
    """Redshifts, quantiles at `LEVELS` or none, and the settings that were chosen."""

    z_N: Floats
    quantiles_NQ: Floats
    settings: str


def knn(parts: Parts) -> Answers:
    """The mean of the nearest neighbours in magnitudes and colours."""
    from sklearn.neighbors import KNeighborsRegressor

    filled = _filled(parts)
    features = _scaled([_magnitudes_and_colours(part) for part in filled])
    train_NF, validation_NF, test_NF = features
    scatters = {}
    for number in (5, 10, 20, 40):
        for weights in ("uniform", "distance"):
            model = KNeighborsRegressor(number, weights=weights)
            model.fit(train_NF, parts.train.z_N)
            scatters[number, weights] = scatter(model.predict(validation_NF), parts.validation.z_N)
    number, weights = _least(scatters)
    model = KNeighborsRegressor(number, weights=weights)
    model.fit(np.vstack([train_NF, validation_NF]), _both_redshifts(parts))
    settings = f"{number} neighbours, weights {weights}"
    return Answers(model.predict(test_NF), _no_quantiles(parts), settings)


def catboost(parts: Parts) -> Answers:
    """Trees by CatBoost, stopped by the validation part; missing magnitudes are its own matter."""
    train_NF, validation_NF, test_NF = map(_magnitudes_and_colours, _in_order(parts))
    held_out = validation_NF, parts.validation.z_N
    models, scatters = {}, {}
    for loss, power in (("RMSE", 2), ("MAE", 1)):
        model = models[loss] = _trees(loss)
        # So that the loss is that of dz / (1 + z).
        weight_N = (1 + parts.train.z_N) ** -power
        model.fit(train_NF, parts.train.z_N, sample_weight=weight_N, eval_set=held_out)
        scatters[loss] = scatter(model.predict(validation_NF), parts.validation.z_N)
    loss = _least(scatters)
    levels = ",".join(map(str, LEVELS))
    spread = _trees(f"MultiQuantile:alpha={levels}")
    spread.fit(train_NF, parts.train.z_N, eval_set=held_out)
    quantiles_NQ = np.sort(spread.predict(test_NF), axis=1)
    settings = f"loss {loss}, {models[loss].tree_count_} trees"
    return Answers(models[loss].predict(test_NF), quantiles_NQ, settings)


def _trees(loss: str) -> Any:
    from catboost import CatBoostRegressor

    return CatBoostRegressor(
        loss_function=loss,
        iterations=5000,
        learning_rate=0.05,
        early_stopping_rounds=100,
        random_seed=SEED,
        thread_count=THREADS,
        allow_writing_files=False,
        verbose=False,
    )


def flexzboost(parts: Parts) -> Answers:
    """FlexCode with XGBoost, by the steps, grids and defaults of the FlexZBoost stage of RAIL.

    Cosines, bump threshold and sharpening are chosen by their CDE loss on the validation part, and
    the point (mode, median or mean) by its SMAD; then it is fitted to both parts.
    """
    train_NF, validation_NF, test_NF = map(_magnitudes_and_colours, _in_order(parts))
    # In other units than shares of the highest redshift flexcode's tuning goes astray.
    highest = 1.02 * float(_both_redshifts(parts).max())
    model = _flexcode()
    model.fit(train_NF, parts.train.z_N / highest)
    model.tune(validation_NF, parts.validation.z_N / highest, THRESHOLDS, SHARPENINGS, 301)
    points = _points(*_densities(model, validation_NF))
    scatters = {
        point: scatter(highest * share_N, parts.validation.z_N) for point, share_N in points.items()
    }
    point = _least(scatters)
    model.fit(np.vstack([train_NF, validation_NF]), _both_redshifts(parts) / highest)
    density_NG, grid_G = _densities(model, test_NF)
    settings = (
        f"{len(model.best_basis)} of 35 cosines, bump threshold {model.bump_threshold:.3f},"
        f" sharpening {model.sharpen_alpha:.1f}, the {point}"
    )
    z_N = highest * _points(density_NG, grid_G)[point]
    return Answers(z_N, highest * _quantiles(density_NG, grid_G, LEVELS), settings)


THRESHOLDS, SHARPENINGS = np.linspace(0.02, 0.35, 20), np.linspace(0.7, 2.1, 15)
"""The grids of RAIL."""


def _flexcode() -> Any:
    import flexcode
    from flexcode.regression_models import XGBoost

    return flexcode.FlexCodeModel(
        XGBoost,
        max_basis=35,
        basis_system="cosine",
        z_min=0.0,
        z_max=1.0,
        regression_params={"max_depth": 8, "objective": "reg:squarederror"},
    )


def _densities(model: Any, features_NF: Floats) -> tuple[Floats, Floats]:
    density_NG, grid_G = model.predict(features_NF, n_grid=301)
    return density_NG, np.ravel(grid_G)


def _points(density_NG: Floats, grid_G: Floats) -> dict[str, Floats]:
    return {
        "mode": grid_G[np.argmax(density_NG, axis=1)],
        "median": _quantiles(density_NG, grid_G, (0.5,))[:, 0],
        "mean": density_NG @ grid_G / density_NG.sum(axis=1),
    }


def _quantiles(density_NG: Floats, grid_G: Floats, levels: Iterable[float]) -> Floats:
    """Of densities that are linear between the points of the grid."""
    steps_NG = (density_NG[:, 1:] + density_NG[:, :-1]) / 2 * np.diff(grid_G)
    below_NG = np.pad(steps_NG.cumsum(axis=1), ((0, 0), (1, 0)))
    below_NG /= below_NG[:, -1:]
    rows = [np.interp(list(levels), below_G, grid_G) for below_G in below_NG]
    return np.array(rows)


def gpz(parts: Parts) -> Answers:
    """Sparse Gaussian processes on magnitudes."""
    return _gpz([part.magnitudes_NB for part in _filled(parts)], parts)


def gpz_with_errors(parts: Parts) -> Answers:
    """The same on magnitudes and the logarithms of their errors, as RAIL gives them to it."""
    features = []
    for part, filled in zip(_in_order(parts), _filled(parts), strict=True):
        log_error_NB = np.log(np.where(np.isnan(part.errors_NB), 1.0, part.errors_NB))
        features.append(np.hstack([filled.magnitudes_NB, log_error_NB]))
    return _gpz(features, parts)


def _gpz(features: list[Floats], parts: Parts) -> Answers:
    """By the steps and the defaults of RAIL's stage, on this training and validation part."""
    from rail.estimation.algos._gpz_util import GP, getOmega
    from scipy.stats import norm

    train_NF, validation_NF, test_NF = features
    z_N1 = _both_redshifts(parts)[:, None]
    training_N = np.arange(len(z_N1)) < len(train_NF)
    # Its random numbers do not all come from its seed.
    np.random.seed(SEED)  # noqa: NPY002
    model = GP(50, method="VC", joint=True, heteroscedastic=True, decorrelate=True, seed=SEED)
    model.train(
        np.vstack([train_NF, validation_NF]),
        z_N1,
        omega=getOmega(z_N1, method="normal"),
        training=training_N,
        validation=~training_N,
        maxIter=200,
        maxAttempts=100,
    )
    z_N1, variance_N1 = model.predict(test_NF)[:2]
    quantiles_NQ = z_N1 + np.sqrt(variance_N1) * norm.ppf(LEVELS)
    return Answers(z_N1[:, 0], quantiles_NQ, "")


METHODS: Mapping[str, Callable[[Parts], Answers]] = {
    "kNN": knn,
    "CatBoost": catboost,
    "FlexZBoost": flexzboost,
    "GPz": gpz,
    "GPz with errors": gpz_with_errors,
}


def scatter(z_phot_N: Floats, z_N: Floats) -> float:
    """SMAD of dz / (1 + z)."""
    x_N = (z_phot_N - z_N) / (1 + z_N)
    return 1.4826 * float(np.median(np.abs(x_N - np.median(x_N))))


def _in_order(parts: Parts) -> tuple[Part, Part, Part]:
    return parts.train, parts.validation, parts.test


def _both_redshifts(parts: Parts) -> Floats:
    return np.concatenate([parts.train.z_N, parts.validation.z_N])


def _no_quantiles(parts: Parts) -> Floats:
    return np.zeros((len(parts.test.magnitudes_NB), 0))


def _least(scatters: Mapping[Any, float]) -> Any:
    return min(scatters, key=lambda key: scatters[key])


def _magnitudes_and_colours(part: Part) -> Floats:
    """Magnitudes and the colours of neighbouring bands."""
    magnitudes_NB = part.magnitudes_NB
    return np.hstack([magnitudes_NB, magnitudes_NB[:, :-1] - magnitudes_NB[:, 1:]])


def _filled(parts: Parts) -> list[Part]:
    """Missing magnitudes are what a linear regression on the others gives."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    imputer = IterativeImputer(random_state=SEED).fit(parts.train.magnitudes_NB)
    return [
        Part(imputer.transform(part.magnitudes_NB), part.errors_NB, part.z_N)
        for part in _in_order(parts)
    ]


def _scaled(features: list[Floats]) -> list[Floats]:
    mean_F, sd_F = features[0].mean(axis=0), features[0].std(axis=0)
    return [(features_NF - mean_F) / sd_F for features_NF in features]


def _part(arrays: Mapping[str, Floats], name: str) -> Part:
    return Part(*(arrays[f"{name}_{kind}"] for kind in ("magnitudes_NB", "errors_NB", "z_N")))


def versions() -> dict[str, str]:
    """Of the packages that are there."""
    there = {"Python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            there[name] = version(name)
        except PackageNotFoundError:
            continue
    return there


def main(words: list[str]) -> None:
    """Run one method over a file of parts, or print the versions."""
    if words == ["versions"]:
        print(json.dumps(versions()))
        return
    method, parts_file, answers_file = words
    with np.load(parts_file) as arrays:
        parts = Parts(*(_part(arrays, name) for name in ("train", "validation", "test")))
    answers = METHODS[method](parts)
    np.savez(
        answers_file,
        z_N=answers.z_N,
        quantiles_NQ=answers.quantiles_NQ,
        settings=np.array(answers.settings),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
