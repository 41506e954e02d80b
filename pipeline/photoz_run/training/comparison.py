"""Statistics of model bundles on labelled galaxies that none of them was trained on."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from photoz_models.documents import Record
from photoz_models.examples import Examples, split_examples
from photoz_models.golden import Outputs
from photoz_models.independence import BATCH
from photoz_models.session import PhotozModel
from photoz_models.stamp_rule import StampRule
from photoz_run.errors import ConfigError
from photoz_run.progress import SILENT, StepProgress
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
"""Statistics of the table by their names in `photoz_run.science.statistics`.

Outliers are |dz| > 0.05 (1 + z).
"""

INTERVALS = {"coverage_68": (0.16, 0.84), "coverage_95": (0.025, 0.975)}

COLUMNS = ("bias", "sd", "median", "smad", "outliers", "coverage_68", "coverage_95")

HEAD = (*COLUMNS, "SMAD red half", "SMAD blue half", "multiply-adds", "galaxies/s")

BESIDE, WIDTH = 3, 21
"""Bundles in a row of the table for terminals, and the characters of each."""

FINE_DIGITS = ("bias", "smad", "median")
"""Columns that are written with five decimals; the others have four."""

LOST_BAND_SAMPLE = 10_000
"""So many galaxies tell well enough what a lost band costs; each band is one more run."""

COLOUR_GROUP = 200
"""Galaxies of neighbouring redshift among which the redder half is chosen."""

SPEED_BATCHES = 8


@dataclass(frozen=True)
class Row(Record):
    """One line of the table; the error of a figure is called ``<name>_error``."""

    name: str
    figures: Mapping[str, int | float]

    def rounded(self) -> "Row":
        """The same row, its figures with five digits."""
        figures = {name: _rounded(value) for name, value in self.figures.items()}
        return Row(self.name, figures)


@dataclass(frozen=True)
class Comparison(Record):
    """The table, the galaxies that it was measured on, and the training of the last bundle."""

    SCHEMA: ClassVar[int] = 2

    set: str
    simulated: bool
    galaxies: int
    tiles: int
    training_set: str
    training_digest: str
    split: str
    seed: int
    date: str
    commit: str
    rows: tuple[Row, ...]
    schema: int = SCHEMA

    def rounded(self) -> "Comparison":
        """The same comparison, figures with five digits."""
        return replace(self, rows=tuple(row.rounded() for row in self.rows))


def measure(
    outputs: Outputs,
    true_z_N: NDArray[np.float32],
    tile_N: NDArray[np.str_],
    levels: Sequence[float],
) -> dict[str, float]:
    """Statistics of the published comparison and, as ``<name>_error``, their bootstrap errors.

    Errors are 68% errors over tiles: the galaxies of a tile share its zero-point errors, and over
    galaxies the error of the bias would come out too small. The coverage of the central 68% and
    95% intervals is added where their ends are among ``levels``.
    """
    z_N, quantiles_NQ, _ = outputs
    ends = {
        name: [quantiles_NQ[:, levels.index(level)] for level in pair]
        for name, pair in INTERVALS.items()
        if all(level in levels for level in pair)
    }

    def statistics(z_phot_N: Floats, z_spec_N: Floats, *limits_N: Floats) -> dict[str, Floats]:
        points = point_statistics(z_phot_N, z_spec_N)
        values = {short: points[name] for name, short in SHORT_NAMES.items()}
        for k, name in enumerate(ends):
            values[name] = coverage(z_spec_N, limits_N[2 * k], limits_N[2 * k + 1])
        return values

    limits = [limit_N for pair in ends.values() for limit_N in pair]
    columns = [z_N, true_z_N, *limits]
    spans = group_bootstrap_intervals(statistics, columns, tile_N)
    values = statistics(*(np.asarray(column, np.float64) for column in columns))
    figures: dict[str, float] = {"number": len(true_z_N)}
    for name, value in values.items():
        low, high = spans[name]
        figures[name] = float(value)
        figures[f"{name}_error"] = (high - low) / 2
    return figures


def load_bundles(bundles: Sequence[Path]) -> list[PhotozModel]:
    """The bundles on one thread of the CPU.

    Raises
    ------
    BundleError
        If one cannot be used.
    """
    return [PhotozModel.load(path, provider="cpu", threads=1) for path in bundles]


def compare_bundles(
    bundles: Sequence[Path], examples: Examples, progress: StepProgress = SILENT
) -> Comparison:
    """Every bundle on the same galaxies, which none of them was trained on.

    Raises
    ------
    BundleError, TrainingError
        If a bundle or the set cannot be used.
    ConfigError
        If no galaxy is left that all bundles have not seen.
    """
    models = load_bundles(bundles)
    rows_N = unseen(models, examples)
    rows = []
    for path, model in zip(bundles, models, strict=True):
        with progress.step(f"{path.stem} over {len(rows_N):,} galaxies"):
            rows.append(Row(path.stem, _figures(model, examples, rows_N)))
    training = models[-1].contract.training
    return Comparison(
        set=examples.facts.name,
        simulated=examples.facts.simulated,
        galaxies=len(rows_N),
        tiles=len(np.unique(examples.tile_N[rows_N])),
        training_set=training.set_name,
        training_digest=training.digest,
        split=training.split,
        seed=training.seed,
        date=training.date,
        commit=training.commit,
        rows=tuple(rows),
    )


def unseen(models: Sequence[PhotozModel], examples: Examples) -> NDArray[np.int64]:
    """Rows of ``examples`` that are new to every model.

    For a model that was made from this set these are the rows of its test part.

    Raises
    ------
    ConfigError
        If there is none.
    """
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


def other_stamps(demanded: StampRule, examples: Examples) -> list[str]:
    """Where the stamps of a set are other than a contract demands, one line each."""
    return [
        f"the contract says {name} = {ours}, the set was made with {theirs}"
        for name, ours, theirs in demanded.cut_otherwise(examples.facts.rule)
    ]


def predict(model: PhotozModel, examples: Examples, rows_N: NDArray[np.int64]) -> Outputs:
    """Run a bundle over rows of a set, in batches."""
    inputs = _inputs_of(model, examples)
    batches = np.split(rows_N, range(BATCH, len(rows_N), BATCH))
    parts = [model.predict(inputs.stamps_NCHW[rows], inputs.table_NT[rows]) for rows in batches]
    z_N, quantiles_NQ, distance_N = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return z_N, quantiles_NQ, distance_N


def worst_lost_band(
    model: PhotozModel, examples: Examples, rows_N: NDArray[np.int64]
) -> tuple[str, float]:
    """The magnitude band whose loss hurts most, and by which factor the SMAD grows without it."""
    inputs = _inputs_of(model, examples)
    complete = _smad_of(model, inputs, rows_N)
    growth = {}
    for k, band in enumerate(model.contract.magnitude_bands):
        table_NT = np.array(inputs.table_NT)
        table_NT[:, k] = np.nan
        growth[band] = _smad_of(model, replace(inputs, table_NT=table_NT), rows_N) / complete
    worst = max(growth, key=lambda band: growth[band])
    return worst, growth[worst]


def colour_halves(examples: Examples, rows_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True for the redder half at fixed redshift.

    Redder means: g - i above the median of the 200 galaxies nearest in redshift.
    """
    bands = examples.facts.rule.magnitude_bands
    magnitudes_NB = examples.magnitudes_NB[rows_N]
    colour_N = magnitudes_NB[:, bands.index("g")] - magnitudes_NB[:, bands.index("i")]
    order_N = np.argsort(examples.z_N[rows_N], kind="stable")
    red_N = np.zeros(len(rows_N), dtype=bool)
    for group in np.array_split(order_N, max(1, len(rows_N) // COLOUR_GROUP)):
        red_N[group] = colour_N[group] > np.nanmedian(colour_N[group])
    return red_N


def as_markdown(rows: Sequence[Row]) -> str:
    """Give the table as Markdown, values with their bootstrap errors."""
    head = ["network", *HEAD]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += [f"| {row.name} | " + " | ".join(_cells(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def as_table(rows: Sequence[Row]) -> str:
    """The same within 80 columns: a line a figure, `BESIDE` bundles beside each other."""
    lines: list[str] = []
    for start in range(0, len(rows), BESIDE):
        part = rows[start : start + BESIDE]
        columns = [[row.name, *_cells(row)] for row in part]
        lines += ["", *(_line(*cells) for cells in zip(("", *HEAD), *columns, strict=True))]
    return "\n".join(lines[1:])


def _cells(row: Row) -> list[str]:
    return [
        *(_with_error(row, name) for name in COLUMNS),
        *(_cell(row, name, "{:.4f}") for name in ("smad_red", "smad_blue")),
        *(_cell(row, name, "{:,.0f}") for name in ("multiply_adds", "galaxies_per_second")),
    ]


def _line(name: str, *cells: str) -> str:
    shown = (cell if len(cell) < WIDTH else f"{cell[: WIDTH - 5]}..." for cell in cells)
    return f"{name:<15}" + "".join(f"{cell:>{WIDTH}}" for cell in shown)


def _inputs_of(model: PhotozModel, examples: Examples) -> Examples:
    return examples.narrowed(model.contract.image_bands, model.contract.table_columns)


def _smad_of(model: PhotozModel, examples: Examples, rows_N: NDArray[np.int64]) -> float:
    z_N = predict(model, examples, rows_N)[0]
    return float(smad(normalised_residual(z_N, examples.z_N[rows_N])))


def _with_error(row: Row, name: str) -> str:
    if name not in row.figures:
        return "-"
    digits = 5 if name in FINE_DIGITS else 4
    value, error = row.figures[name], row.figures[f"{name}_error"]
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _cell(row: Row, name: str, form: str) -> str:
    return form.format(row.figures[name]) if name in row.figures else "-"


def _figures(model: PhotozModel, examples: Examples, rows_N: NDArray[np.int64]) -> dict[str, float]:
    contract = model.contract
    outputs = predict(model, examples, rows_N)
    true_z_N = np.array(examples.z_N[rows_N])
    figures = measure(outputs, true_z_N, examples.tile_N[rows_N], contract.quantile_levels)
    x_N = normalised_residual(outputs[0], true_z_N)
    red_N = colour_halves(examples, rows_N)
    figures["smad_red"] = float(smad(x_N[red_N]))
    figures["smad_blue"] = float(smad(x_N[~red_N]))
    if contract.magnitude_bands:
        _, growth = worst_lost_band(model, examples, rows_N[:LOST_BAND_SAMPLE])
        figures["lost_band_growth"] = growth
    figures["out_of_domain"] = float(np.mean(outputs[2] > 1))
    figures["multiply_adds"] = contract.multiply_adds
    figures["galaxies_per_second"] = _speed(model, examples, rows_N[:BATCH])
    return figures


def _speed(model: PhotozModel, examples: Examples, rows_N: NDArray[np.int64]) -> float:
    inputs = _inputs_of(model, examples)
    stamps_NCHW, table_NT = inputs.stamps_NCHW[rows_N], inputs.table_NT[rows_N]
    start = time.perf_counter()
    for _ in range(SPEED_BATCHES):
        model.predict(stamps_NCHW, table_NT)
    return SPEED_BATCHES * len(rows_N) / (time.perf_counter() - start)


def _rounded(value: float) -> int | float:
    return int(value) if value == int(value) else float(f"{value:.5g}")
