"""The page of the documentation that sets networks side by side: docs/comparison.md."""

import math
from collections.abc import Sequence

from photoz_run.training.comparison import Comparison, Row, as_markdown

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

LEGEND = """\
- bias: mean of dz = z_phot - z_true; sd, median, SMAD: of dz/(1+z); outliers: |dz| > 0.05 (1+z).
- coverage: share of true redshifts within the central 68% and 95% interval.
- red and blue half: by g - i at fixed redshift; galaxies/s: one thread, batches of 256.
- Errors are 68% bootstrap errors over tiles: the galaxies of a tile share its zero-point errors.
- The bundle that is shipped may be of a later training than `hybrid`: [what it gives on these \
galaxies](training.md#the-shipped-bundle-and-the-table-of-the-comparison).
- On [public tables](real-tables.md) the network of magnitudes stands beside FlexZBoost, CatBoost, \
GPz and kNN.
"""


def as_page(comparison: Comparison) -> str:
    """Give the page: what was measured, the table, and what its columns mean."""
    kind = "simulated" if comparison.simulated else "real"
    measured = (
        f"{comparison.galaxies:,} {kind} galaxies of {comparison.tiles:,} tiles"
        f" that no network was trained on: {comparison.set}."
    )
    trained = (
        f"Trained on {comparison.training_set}, split by {comparison.split} with seed"
        f" {comparison.seed}, {comparison.date}, commit {comparison.commit}."
    )
    rows = comparison.rows
    notes = LEGEND + _gaps(rows) + _ratios(rows)
    return f"# Comparison of networks\n\n{measured}\n{trained}\n\n{as_markdown(rows)}\n{notes}"


def _ratios(rows: Sequence[Row]) -> str:
    figures_of = {row.name: row.figures for row in rows}
    lines = []
    for above, below in RATIOS:
        if above not in figures_of or below not in figures_of:
            continue
        upper, lower = figures_of[above], figures_of[below]
        ratio = upper["smad"] / lower["smad"]
        # As if independent; on the same galaxies the error is smaller.
        relative_upper = upper["smad_error"] / upper["smad"]
        relative_lower = lower["smad_error"] / lower["smad"]
        error = ratio * math.hypot(relative_upper, relative_lower)
        lines.append(f"  {above} / {below} {ratio:.3f} ± {error:.3f}")
    return "- Ratios of SMAD:\n" + ",\n".join(lines) + ".\n" if lines else ""


def _gaps(rows: Sequence[Row]) -> str:
    name = "lost_band_growth"
    grown = [f"{row.name} {row.figures[name] - 1:+.0%}" for row in rows if name in row.figures]
    if not grown:
        return ""
    return f"- SMAD when the magnitude is missing whose loss hurts most: {', '.join(grown)}.\n"
