"""Statistics of model bundles on labelled galaxies, and the table that sets them side by side."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photoz_models.errors import BundleError, TrainingError
from photoz_models.examples import Examples, split_examples
from photoz_models.golden import Outputs
from photoz_models.session import PhotozModel
from photoz_run.errors import ConfigError
from photoz_run.science.statistics import (
    Floats,
    coverage,
    group_bootstrap_intervals,
    normalised_residual,
    point_statistics,
    smad,
)

SHORT_NAMES = {
    "bias": "bias",
    "sd_normdz": "sd",
    "median_normdz": "median",
    "smad": "smad",
    "outliers_005": "outliers",
}
"""Statistics of the table by their names in `photoz_run.science.statistics`; outliers are |dz| > 0.05 (1 + z)."""

INTERVALS = {"coverage_68": (0.16, 0.84), "coverage_95": (0.025, 0.975)}

COLUMNS = ("bias", "sd", "median", "smad", "outliers", "coverage_68", "coverage_95")

BOUND = "information bound"
BLIND_BOUND = "bound blind to clumps"

RATIOS = (
    ("magnitudes9", "magnitudes4"),
    ("magnitudes9", "scikit-learn perceptron"),
    ("hybrid", "magnitudes9"),
    ("hybrid", "hybrid-z"),
    ("hybrid", BOUND),
    ("hybrid", BLIND_BOUND),
)
"""Pairs of rows whose SMAD is compared."""

LOST_BAND_SAMPLE = 10_000
"""So many galaxies tell what a lost band costs, well within the error: every band is one more run of the network."""

BATCH = 256
SPEED_BATCHES = 8


@dataclass(frozen=True)
class Row:
    """One bundle's line of the table; ``figures`` are plain numbers, errors under ``<name>_error``."""

    name: str
    figures: dict[str, float]


def measure(
    outputs: Outputs,
    true_z_N: NDArray[np.float32],
    tile_N: NDArray[np.str_],
    levels: Sequence[float],
) -> dict[str, float]:
    """Statistics of the published comparison with their bootstrap errors (68%, over tiles) under ``<name>_error``.

    The galaxies of a tile share its zero-point errors: over galaxies the error of the bias would come out too small.

    Coverage of the 68% and 95% interval is added where their ends are among ``levels``.
    """
    z_N, quantiles_NQ, _ = outputs
    ends = {
        name: [quantiles_NQ[:, levels.index(level)] for level in pair]
        for name, pair in INTERVALS.items()
        if all(level in levels for level in pair)
    }

    def statistics(z_phot_N: Floats, z_spec_N: Floats, *limits_N: Floats) -> dict[str, Floats]:
        points = point_statistics(z_phot_N, z_spec_N)
        found = {short: points[name] for name, short in SHORT_NAMES.items()}
        for k, name in enumerate(ends):
            found[name] = coverage(z_spec_N, limits_N[2 * k], limits_N[2 * k + 1])
        return found

    columns = [z_N, true_z_N, *(limit for pair in ends.values() for limit in pair)]
    spans = group_bootstrap_intervals(statistics, columns, tile_N)
    figures: dict[str, float] = {"number": len(true_z_N)}
    for name, value in statistics(*(np.asarray(column, np.float64) for column in columns)).items():
        figures[name] = float(value)
        figures[f"{name}_error"] = (spans[name][1] - spans[name][0]) / 2
    return figures


def compare_bundles(
    bundles: Sequence[Path], examples: Examples
) -> tuple[list[Row], dict[str, str | int], NDArray[np.int64]]:
    """Every bundle on the same galaxies: rows, facts about the test, and which galaxies no bundle was trained on.

    Raises
    ------
    ConfigError
        If a bundle or the set cannot be used, or no galaxy is left that all bundles have not seen.
    """
    try:
        models = [PhotozModel.load(path, provider="cpu", threads=1) for path in bundles]
        rows_N = unseen(models, examples)
        rows = [
            Row(path.stem, _row(model, examples, rows_N))
            for path, model in zip(bundles, models, strict=True)
        ]
    except (BundleError, TrainingError) as error:
        raise ConfigError(str(error)) from error
    return rows, about(examples, rows_N, models), rows_N


def unseen(models: Sequence[PhotozModel], examples: Examples) -> NDArray[np.int64]:
    """Rows of ``examples`` outside the training and validation parts of every model that was made from this set."""
    unseen_N = np.ones(len(examples), dtype=bool)
    digest = examples.digest()
    for model in models:
        training = model.contract.training
        if training.digest == digest and training.split != "none":
            test_N = split_examples(examples, training.seed, training.split).test_N
            unseen_N &= np.isin(np.arange(len(examples)), test_N)
    if not unseen_N.any():
        raise ConfigError(
            "no galaxy of this set is new to all bundles; compare bundles of the same split"
        )
    return np.flatnonzero(unseen_N)


def predict(model: PhotozModel, examples: Examples, rows_N: NDArray[np.int64]) -> Outputs:
    """Run a bundle over rows of a set, in batches."""
    in_bands = examples.narrowed(model.contract.image_bands, model.contract.table_columns)
    parts = [
        model.predict(in_bands.stamps_NCHW[rows], in_bands.table_NT[rows])
        for rows in np.split(rows_N, range(BATCH, len(rows_N), BATCH))
    ]
    z_N, quantiles_NQ, distance_N = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return z_N, quantiles_NQ, distance_N


def worst_lost_band(
    model: PhotozModel, examples: Examples, rows_N: NDArray[np.int64]
) -> tuple[str, float]:
    """The magnitude band whose loss hurts most, and the SMAD without it divided by the SMAD with all."""
    in_bands = examples.narrowed(model.contract.image_bands, model.contract.table_columns)
    true_N = in_bands.z_N[rows_N]
    complete = float(smad(normalised_residual(predict(model, in_bands, rows_N)[0], true_N)))
    growth = {}
    for k, band in enumerate(model.contract.magnitude_bands):
        table_NT = np.array(in_bands.table_NT)
        table_NT[:, k] = np.nan
        without = Examples(
            in_bands.facts, in_bands.stamps_NCHW, table_NT, in_bands.z_N, in_bands.tile_N
        )
        growth[band] = (
            float(smad(normalised_residual(predict(model, without, rows_N)[0], true_N))) / complete
        )
    worst = max(growth, key=lambda band: growth[band])
    return worst, growth[worst]


def colour_halves(examples: Examples, rows_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True for the redder half at fixed redshift: g - i above the median of the 200 galaxies nearest in redshift."""
    bands = examples.facts.rule.magnitude_bands
    colour_N = (
        examples.magnitudes_NB[rows_N, bands.index("g")]
        - examples.magnitudes_NB[rows_N, bands.index("i")]
    )
    order_N = np.argsort(examples.z_N[rows_N], kind="stable")
    red_N = np.zeros(len(rows_N), dtype=bool)
    for group in np.array_split(order_N, max(1, len(rows_N) // 200)):
        red_N[group] = colour_N[group] > np.nanmedian(colour_N[group])
    return red_N


def about(
    examples: Examples, rows_N: NDArray[np.int64], models: Sequence[PhotozModel]
) -> dict[str, str | int]:
    """What the table was measured on and with."""
    training = models[-1].contract.training
    return {
        "set": examples.facts.name,
        "simulated": int(examples.facts.simulated),
        "galaxies": len(rows_N),
        "tiles": len(np.unique(examples.tile_N[rows_N])),
        "training_set": training.set_name,
        "training_digest": training.digest,
        "split": training.split,
        "seed": training.seed,
        "date": training.date,
        "commit": training.commit,
    }


def as_json(rows: Sequence[Row], facts: dict[str, str | int]) -> str:
    """Give the table as JSON: facts about the test, and a list ``rows`` of plain numbers."""
    listed = [
        {"name": row.name, **{key: _rounded(value) for key, value in row.figures.items()}}
        for row in rows
    ]
    return json.dumps({**facts, "rows": listed}, indent=1) + "\n"


def as_markdown(rows: Sequence[Row]) -> str:
    """Give the table as Markdown, values with their bootstrap errors."""
    head = ["network", *COLUMNS, "SMAD red half", "SMAD blue half", "multiply-adds", "galaxies/s"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [_with_error(row.figures, name) for name in COLUMNS]
        cells += [_cell(row.figures, name, "{:.4f}") for name in ("smad_red", "smad_blue")]
        cells += [
            _cell(row.figures, "multiply_adds", "{:,.0f}"),
            _cell(row.figures, "galaxies_per_second", "{:,.0f}"),
        ]
        lines.append(f"| {row.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def as_page(rows: Sequence[Row], facts: dict[str, str | int]) -> str:
    """Give the page of the documentation: what was measured, the table, and what its columns mean."""
    kind = "simulated" if facts["simulated"] else "real"
    return (
        "# Comparison of networks\n\n"
        f"{facts['galaxies']:,} {kind} galaxies of {facts['tiles']:,} tiles that no network was trained on: "
        f"{facts['set']}.\nTrained on {facts['training_set']}, split by {facts['split']} with seed {facts['seed']}, "
        f"{facts['date']}, commit {facts['commit']}.\n\n"
        f"{as_markdown(rows)}\n"
        "- bias: mean of dz = z_phot - z_true; sd, median, SMAD: of dz/(1+z); outliers: |dz| > 0.05 (1+z).\n"
        "- coverage: share of true redshifts within the central 68% and 95% interval.\n"
        "- red and blue half: by g - i at fixed redshift; galaxies/s: one thread, batches of 256.\n"
        "- Errors are 68% bootstrap errors over tiles: the galaxies of a tile share its zero-point errors.\n"
        f"{_gaps(rows)}{_ratios(rows)}"
    )


def _ratios(rows: Sequence[Row]) -> str:
    smad_of = {row.name: (row.figures["smad"], row.figures["smad_error"]) for row in rows}
    lines = []
    for above, below in RATIOS:
        if above in smad_of and below in smad_of:
            (a, a_error), (b, b_error) = smad_of[above], smad_of[below]
            # As if independent; on the same galaxies the error is smaller.
            error = a / b * float(np.hypot(a_error / a, b_error / b))
            lines.append(f"  {above} / {below} {a / b:.3f} ± {error:.3f}")
    return "- Ratios of SMAD:\n" + ",\n".join(lines) + ".\n" if lines else ""


def _gaps(rows: Sequence[Row]) -> str:
    growth = {
        row.name: row.figures["lost_band_growth"]
        for row in rows
        if "lost_band_growth" in row.figures
    }
    grown = [f"{name} {factor - 1:+.0%}" for name, factor in growth.items()]
    return (
        f"- SMAD when the magnitude is missing whose loss hurts most: {', '.join(grown)}.\n"
        if grown
        else ""
    )


def _with_error(figures: dict[str, float], name: str) -> str:
    digits = 5 if name in ("bias", "smad", "median") else 4
    return (
        f"{figures[name]:.{digits}f} ± {figures[f'{name}_error']:.{digits}f}"
        if name in figures
        else "-"
    )


def _cell(figures: dict[str, float], name: str, form: str) -> str:
    return form.format(figures[name]) if name in figures else "-"


def _row(model: PhotozModel, examples: Examples, rows_N: NDArray[np.int64]) -> dict[str, float]:
    outputs = predict(model, examples, rows_N)
    true_z_N = np.array(examples.z_N[rows_N])
    x_N = normalised_residual(outputs[0], true_z_N)
    red_N = colour_halves(examples, rows_N)
    figures = measure(outputs, true_z_N, examples.tile_N[rows_N], model.contract.quantile_levels)
    figures |= {"smad_red": float(smad(x_N[red_N])), "smad_blue": float(smad(x_N[~red_N]))}
    if model.contract.magnitude_bands:
        figures["lost_band_growth"] = worst_lost_band(model, examples, rows_N[:LOST_BAND_SAMPLE])[1]
    figures["out_of_domain"] = float(np.mean(outputs[2] > 1))
    figures["multiply_adds"] = model.contract.multiply_adds
    figures["galaxies_per_second"] = _speed(model, examples, rows_N)
    return figures


def _speed(model: PhotozModel, examples: Examples, rows_N: NDArray[np.int64]) -> float:
    in_bands = examples.narrowed(model.contract.image_bands, model.contract.table_columns)
    stamps_NCHW, table_NT = (
        in_bands.stamps_NCHW[rows_N[:BATCH]],
        in_bands.table_NT[rows_N[:BATCH]],
    )
    start = time.perf_counter()
    for _ in range(SPEED_BATCHES):
        model.predict(stamps_NCHW, table_NT)
    return SPEED_BATCHES * len(table_NT) / (time.perf_counter() - start)


def _rounded(value: float) -> float:
    return int(value) if value == int(value) else float(f"{value:.5g}")
