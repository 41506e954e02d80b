"""What each quality flag costs: the table of docs/decisions/science-cut.md.

``python -m studies.flag_costs BUNDLE --set SET --markdown FILE``

The same galaxies are measured as they are and with what the flag tells of, so that nothing but the
flag differs. Errors are over tiles.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photoz_models.examples import Examples
from photoz_models.golden import Outputs
from photoz_models.kept_sets import load_examples
from photoz_models.session import PhotozModel
from photoz_run.science.statistics import (
    Floats,
    coverage,
    fraction_beyond,
    group_bootstrap_intervals,
    normalised_residual,
    smad,
)
from photoz_run.training.comparison import load_bundles, predict

SEED = 20
CENTRAL = 4
"""Pixels on a side of what CENTRE_BAD looks at."""

Damage = Callable[[Examples, np.random.Generator], Examples]


@dataclass(frozen=True)
class Cost:
    """A flag, how it was brought about, and statistics of the same galaxies without and with it."""

    flag: str
    how: str
    n: int
    smad: float
    ratio: float
    ratio_error: float
    outliers: tuple[float, float]
    coverage_68: tuple[float, float]
    out_of_domain: float


def damages(model: PhotozModel) -> Iterator[tuple[str, str, Damage]]:
    """Flag, words and what is done to the galaxies."""
    size = model.contract.stamp_size
    yield "EDGE", "the edge 3 to 17 pixels from the source, all bands", _edge
    for k, band in enumerate(model.contract.image_bands):
        yield "NO_COVERAGE, BAND_MISSING", f"no pixel in {band}", _without_images(k)
    bands = model.contract.image_bands
    for left in ("u", "r"):
        others = [k for k, band in enumerate(bands) if band != left]
        yield "NO_COVERAGE, BAND_MISSING", f"pixels in {left} alone", _without_images(*others)
    yield "MASKED_PIXELS", "a disc of 4 to 10 pixels beside the source, all bands", _discs
    yield "BAD_PIXELS", "a column of pixels in one band, anywhere", _columns
    middle = slice(size // 2 - CENTRAL // 2, size // 2 + CENTRAL // 2)
    yield "CENTRE_BAD", "one of the central pixels in one band", _one_central_pixel
    yield "CENTRE_BAD", "the central 4 x 4 pixels in one band", _centre(middle, one_band=True)
    yield "CENTRE_BAD", "the central 4 x 4 pixels in all bands", _centre(middle, one_band=False)
    for k, band in enumerate(model.contract.magnitude_bands):
        yield f"MAG_{band.upper()}_MISSING", f"no magnitude in {band}", _without_magnitude(k)
    yield "MAG_*_MISSING", "no magnitude in five bands, Z to Ks", _without_infrared


def _changed(examples: Examples, unusable_NCHW: NDArray[np.bool_]) -> Examples:
    return replace(examples, stamps_NCHW=np.where(unusable_NCHW, np.nan, examples.stamps_NCHW))


def _edge(examples: Examples, dice: np.random.Generator) -> Examples:
    n, _, size, _ = examples.stamps_NCHW.shape
    distance_N1 = dice.integers(3, size // 2, (n, 1))
    beyond_NW = np.arange(size) >= size // 2 + distance_N1
    side_N = dice.integers(0, 4, n)
    beyond_NHW = np.broadcast_to(beyond_NW[:, None, :], (n, size, size)).copy()
    for side in range(4):
        beyond_NHW[side_N == side] = np.rot90(beyond_NHW[side_N == side], side, axes=(1, 2))
    return _changed(examples, beyond_NHW[:, None])


def _without_images(*bands: int) -> Damage:
    def damage(examples: Examples, _: np.random.Generator) -> Examples:
        unusable = np.isin(np.arange(examples.stamps_NCHW.shape[1]), bands)
        return _changed(examples, unusable[None, :, None, None])

    return damage


def _discs(examples: Examples, dice: np.random.Generator) -> Examples:
    n, _, size, _ = examples.stamps_NCHW.shape
    radius_N11 = dice.uniform(4, 10, (n, 1, 1))
    # So far that the central pixels stay free.
    away_N11 = radius_N11 + CENTRAL + dice.uniform(0, 8, (n, 1, 1))
    angle_N11 = dice.uniform(0, 2 * np.pi, (n, 1, 1))
    y_HW, x_HW = np.mgrid[:size, :size] - size / 2
    x_NHW, y_NHW = x_HW - away_N11 * np.cos(angle_N11), y_HW - away_N11 * np.sin(angle_N11)
    return _changed(examples, (np.hypot(x_NHW, y_NHW) < radius_N11)[:, None])


def _columns(examples: Examples, dice: np.random.Generator) -> Examples:
    n, bands, size, _ = examples.stamps_NCHW.shape
    column_NW = np.arange(size) == dice.integers(0, size, (n, 1))
    band_NC = np.arange(bands) == dice.integers(0, bands, (n, 1))
    return _changed(examples, band_NC[:, :, None, None] & column_NW[:, None, None, :])


def _one_central_pixel(examples: Examples, dice: np.random.Generator) -> Examples:
    n, bands, size, _ = examples.stamps_NCHW.shape
    place_N2 = size // 2 - CENTRAL // 2 + dice.integers(0, CENTRAL, (n, 2))
    y_NH = np.arange(size) == place_N2[:, :1]
    x_NW = np.arange(size) == place_N2[:, 1:]
    band_NC = np.arange(bands) == dice.integers(0, bands, (n, 1))
    pixel_NHW = y_NH[:, :, None] & x_NW[:, None, :]
    return _changed(examples, band_NC[:, :, None, None] & pixel_NHW[:, None])


def _centre(middle: slice, one_band: bool) -> Damage:
    def damage(examples: Examples, dice: np.random.Generator) -> Examples:
        n, bands, size, _ = examples.stamps_NCHW.shape
        centre_HW = np.zeros((size, size), bool)
        centre_HW[middle, middle] = True
        band_NC = np.ones((n, bands), bool)
        if one_band:
            band_NC = np.arange(bands) == dice.integers(0, bands, (n, 1))
        return _changed(examples, band_NC[:, :, None, None] & centre_HW)

    return damage


def _without_magnitude(band: int) -> Damage:
    def damage(examples: Examples, _: np.random.Generator) -> Examples:
        table_NT = np.array(examples.table_NT)
        table_NT[:, band] = np.nan
        return replace(examples, table_NT=table_NT)

    return damage


def _without_infrared(examples: Examples, _: np.random.Generator) -> Examples:
    table_NT = np.array(examples.table_NT)
    table_NT[:, 4:9] = np.nan
    return replace(examples, table_NT=table_NT)


def measure(model: PhotozModel, examples: Examples) -> Iterator[Cost]:
    """The cost of each flag that can be brought about, then of those that the model sets."""
    rows_N = np.arange(len(examples))
    usual = predict(model, examples, rows_N)
    for flag, how, damage in damages(model):
        changed = damage(examples, np.random.default_rng(SEED))
        yield _cost(model, examples, flag, how, usual, predict(model, changed, rows_N))
    outside_N = usual[2] > 1
    yield _natural(model, examples, "OUT_OF_DOMAIN", outside_N, usual)


def _cost(
    model: PhotozModel, examples: Examples, flag: str, how: str, usual: Outputs, other: Outputs
) -> Cost:
    before, after = (normalised_residual(outputs[0], examples.z_N) for outputs in (usual, other))

    def ratio(first: Floats, second: Floats) -> dict[str, Floats]:
        return {"ratio": smad(second) / smad(first)}

    low, high = group_bootstrap_intervals(ratio, [before, after], examples.tile_N)["ratio"]
    return Cost(
        flag=flag,
        how=how,
        n=len(examples),
        smad=float(smad(after)),
        ratio=float(ratio(before, after)["ratio"]),
        ratio_error=(high - low) / 2,
        outliers=(_outliers(before), _outliers(after)),
        coverage_68=(_coverage(model, examples.z_N, usual), _coverage(model, examples.z_N, other)),
        out_of_domain=float(np.mean(other[2] > 1)),
    )


def _natural(
    model: PhotozModel, examples: Examples, flag: str, flagged_N: NDArray[np.bool_], usual: Outputs
) -> Cost:
    """Galaxies with a flag beside those without: other galaxies, not the same ones."""
    x_N = normalised_residual(usual[0], examples.z_N)

    def ratio(x: Floats, flagged: Floats) -> dict[str, Floats]:
        return {"ratio": smad(x[flagged > 0]) / smad(x[flagged == 0])}

    columns = [x_N, flagged_N.astype(np.float64)]
    low, high = group_bootstrap_intervals(ratio, columns, examples.tile_N)["ratio"]
    parts = [tuple(array[rows] for array in usual) for rows in (~flagged_N, flagged_N)]
    true = [examples.z_N[rows] for rows in (~flagged_N, flagged_N)]
    return Cost(
        flag=flag,
        how="as it occurs: other galaxies than those without",
        n=int(flagged_N.sum()),
        smad=float(smad(x_N[flagged_N])),
        ratio=float(ratio(x_N, columns[1])["ratio"]),
        ratio_error=(high - low) / 2,
        outliers=(_outliers(x_N[~flagged_N]), _outliers(x_N[flagged_N])),
        coverage_68=(
            _coverage(model, true[0], parts[0]),  # type: ignore[arg-type]
            _coverage(model, true[1], parts[1]),  # type: ignore[arg-type]
        ),
        out_of_domain=1.0,
    )


def _outliers(x_N: Floats) -> float:
    return float(fraction_beyond(x_N, 0.15))


def _coverage(model: PhotozModel, true_z_N: NDArray[np.float32], outputs: Outputs) -> float:
    levels = model.contract.quantile_levels
    low, high = (outputs[1][:, levels.index(level)] for level in (0.16, 0.84))
    return float(coverage(true_z_N, low, high))


def as_markdown(costs: Sequence[Cost]) -> str:
    """The table of the documentation."""
    lines = [
        "| flag | brought about by | galaxies | SMAD | grows by | beyond 0.15 | in the 68% interval"
        " | also out of domain |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for cost in costs:
        growth = f"{cost.ratio:.3f} ± {cost.ratio_error:.3f}"
        outliers = " → ".join(f"{share:.2%}" for share in cost.outliers)
        inside = " → ".join(f"{share:.1%}" for share in cost.coverage_68)
        lines.append(
            f"| {cost.flag} | {cost.how} | {cost.n:,} | {cost.smad:.4f} | {growth} | {outliers}"
            f" | {inside} | {cost.out_of_domain:.1%} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--set", type=Path, required=True, dest="kept_set")
    parser.add_argument("--markdown", type=Path, required=True)
    arguments = parser.parse_args()
    (model,) = load_bundles([arguments.bundle])
    examples = load_examples(arguments.kept_set).narrowed(
        model.contract.image_bands, model.contract.table_columns
    )
    costs = list(measure(model, examples))
    arguments.markdown.write_text(as_markdown(costs), encoding="utf-8")


if __name__ == "__main__":
    main()
