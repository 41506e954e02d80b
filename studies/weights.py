"""What weights restore in a biased sample: the table of docs/decisions/weights.md.

``python -m studies.weights BUNDLE --set SET --markdown FILE``

The truth of a simulated set is known. Some of its galaxies are given a spectrum, and the scatter of
these, with and without weights, is set beside that of all.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.spatial import cKDTree
from scipy.special import ndtr

from photoz_models.kept_sets import load_examples
from photoz_models.robust import SMAD_FACTOR
from photoz_run.science.representative import (
    cell_weights,
    effective_number,
    neighbour_weights,
    space_of,
    spectra_at,
)
from photoz_run.science.statistics import Floats, mean, normalised_residual, smad
from photoz_run.training.comparison import load_bundles, predict

DRAWS = 10
"""Samples of each kind; the table has their means."""
ALIKE = 100
"""Galaxies with nearly the same values, whose scatter is that of one of them."""
FEWEST = 30
"""Galaxies without a spectrum below which their scatter says nothing."""


@dataclass(frozen=True)
class Galaxies:
    """Galaxies whose truth is known: r magnitude, g - r, residual, and all that is compared."""

    r_N: Floats
    g_r_N: Floats
    x_N: Floats
    values_NC: Floats


Chance = Callable[[Galaxies], Floats]
"""The chance of each galaxy to have a spectrum."""


def chances() -> Iterator[tuple[str, Chance]]:
    """Words and chances of samples that are not like the whole."""
    yield "bright ones: fewer and fewer beyond r = 19", _bright
    yield "90% with r < 19.3, 10% beyond", lambda some: np.where(some.r_N < 19.3, 0.9, 0.1)
    yield "80% of the redder half, 15% of the bluer", lambda some: np.where(_red(some), 0.8, 0.15)
    yield "bright and mostly red ones", _bright_and_red
    yield "none with r > 19.5", lambda some: np.where(some.r_N < 19.5, 0.7, 0.0)
    yield "twice as many where |normdz| < 0.02", _easy


def _bright(some: Galaxies) -> Floats:
    return np.asarray(1 / (1 + np.exp((some.r_N - 19) / 0.25)))


def _bright_and_red(some: Galaxies) -> Floats:
    bright_N = 1 / (1 + np.exp((some.r_N - 19.4) / 0.2))
    return np.asarray(np.where(_red(some), 0.9, 0.2) * bright_N)


def _red(some: Galaxies) -> NDArray[np.bool_]:
    return np.asarray(some.g_r_N > np.median(some.g_r_N))


def _easy(some: Galaxies) -> Floats:
    return np.where(np.abs(some.x_N) < 0.02, 0.6, 0.3)


@dataclass(frozen=True)
class Restored:
    """Of one kind of sample: SMAD over that of all, effective numbers, and what is lacking."""

    spectra: float
    plain: float
    by_neighbours: float
    by_cells: float
    expected: float
    """By neighbours, as far as values tell: without the noise of few residuals."""
    noise: float
    """Standard deviation of ``by_neighbours`` of one sample."""
    effective_neighbours: float
    effective_cells: float
    lacking: float
    """Share of all galaxies that no spectrum is like."""
    of_lacking: float
    """Their SMAD over that of all."""


def restore(some: Galaxies, chance: Chance, draws: int = DRAWS) -> Restored:
    """Draw samples, weigh them, and take the mean of what comes out."""
    place_ND = space_of(some.values_NC).place(some.values_NC)
    scatter_N = local_scatter(place_ND, some.x_N)
    rows = []
    for seed in range(draws):
        chosen_N = np.random.default_rng(seed).random(len(some.x_N)) < chance(some)
        rows.append(_drawn(some, place_ND, scatter_N, chosen_N))
    columns = np.transpose(rows)
    means = dict(zip(NAMES, map(float, mean(columns)), strict=True))
    return Restored(**means, noise=float(np.std(columns[NAMES.index("by_neighbours")])))


def local_scatter(place_ND: Floats, x_N: Floats) -> Floats:
    """The SMAD of the residuals of the `ALIKE` galaxies nearest to each."""
    near_NK = cKDTree(place_ND).query(place_ND, min(ALIKE, len(x_N)))[1]
    return smad(x_N[near_NK])


def expected_smad(scatter_N: Floats, weight_N: Floats) -> float:
    """The SMAD of Gaussian residuals about 0, each of a width and a weight of its own."""

    def excess(half_width: float) -> float:
        inside_N = 2 * ndtr(half_width / scatter_N) - 1
        return float(np.average(inside_N, weights=weight_N)) - 0.5

    return SMAD_FACTOR * float(brentq(excess, 0, 10 * float(scatter_N.max())))


NAMES = tuple(field.name for field in fields(Restored) if field.name != "noise")


def _drawn(
    some: Galaxies, place_ND: Floats, scatter_N: Floats, chosen_N: NDArray[np.bool_]
) -> list[float]:
    """The numbers of one sample, in the order of `NAMES`."""
    spec_KD, x_K, every = place_ND[chosen_N], some.x_N[chosen_N], smad(some.x_N)
    neighbours_K, cells_K = neighbour_weights(spec_KD, place_ND), cell_weights(spec_KD, place_ND)
    lacking_N = spectra_at(spec_KD).lack(place_ND)
    of_lacking = smad(some.x_N[lacking_N]) if lacking_N.sum() >= FEWEST else np.nan
    scatters = [smad(x_K), smad(x_K, neighbours_K), smad(x_K, cells_K)]
    expected = expected_smad(scatter_N[chosen_N], neighbours_K)
    return [
        float(chosen_N.sum()),
        *(float(scatter / every) for scatter in scatters),
        expected / expected_smad(scatter_N, np.ones(len(scatter_N))),
        effective_number(neighbours_K),
        effective_number(cells_K),
        float(lacking_N.mean()),
        float(of_lacking / every),
    ]


def as_markdown(rows: list[tuple[str, Restored]]) -> str:
    """The table."""
    lines = [
        "| sample | spectra | without weights | neighbours | expected | cells | effective numbers"
        " | no spectrum like them | their SMAD |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for words, row in rows:
        neighbours = f"{row.by_neighbours:.3f} ± {row.noise:.3f} | {row.expected:.3f}"
        scatters = f"{row.plain:.3f} | {neighbours} | {row.by_cells:.3f}"
        effective = f"{row.effective_neighbours:,.0f}, {row.effective_cells:,.0f}"
        of_lacking = "-" if np.isnan(row.of_lacking) else f"{row.of_lacking:.2f}"
        name = words.replace("|", "\\|")
        lines.append(
            f"| {name} | {row.spectra:,.0f} | {scatters} | {effective} | {row.lacking:.1%}"
            f" | {of_lacking} |"
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
    examples = load_examples(arguments.kept_set)
    z_phot_N = predict(model, examples, np.arange(len(examples)))[0]
    bands = examples.facts.rule.magnitude_bands
    g_N, r_N = (examples.table_NT[:, bands.index(band)].astype(np.float64) for band in "gr")
    x_N = normalised_residual(z_phot_N, examples.z_N)
    some = Galaxies(r_N, g_N - r_N, x_N, examples.table_NT.astype(np.float64))
    rows = [(words, restore(some, chance)) for words, chance in chances()]
    arguments.markdown.write_text(as_markdown(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
