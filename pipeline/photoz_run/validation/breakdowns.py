"""The statistics in bins of magnitude, redshift and seeing, and by colour class, flag, mask, tile and survey."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run import flags
from photoz_run.errors import ConfigError
from photoz_run.science.selection import names_in, select
from photoz_run.validation.catalogue import SEEING, take
from photoz_run.validation.metrics import Group, measure, measured_columns
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.specz import SpecSample
from photoz_run.validation.tables import Columns

REPLICATES, DRAW = 100, 500
"""Bootstrap of one bin; the number of objects drawn is scaled back, see `bootstrap_intervals`."""

INTERVAL_BINS = 60
"""A breakdown with more bins than this (tiles) comes without intervals: they would take most of the time."""

NORTH_OF = -15.0
"""KiDS-N and KiDS-S lie on either side of this declination (deg)."""

CONTINUOUS = {
    "r": "MAG_AUTO_CALIB",
    "z_phot": "Z_PHOT",
    "z_spec": "Z_SPEC",
    "g_r": "MAG_GAAP_g - MAG_GAAP_r",
}
"""Breakdowns by a number: a column, or the difference of two."""

TITLES = {
    "r": "r magnitude",
    "z_phot": "photometric redshift",
    "z_spec": "spectroscopic redshift",
    "g_r": "observed g - r",
    "psf": "seeing",
    "colour": "colour class",
    "colour_r": "colour class and r magnitude",
    "flag": "quality flag",
    "mask": "mask",
    "tile": "tile",
    "hemisphere": "hemisphere",
    "source": "spec-z survey",
    "nz": "n(z_phot) at",
}


@dataclass(frozen=True)
class Bin:
    """Which pairs belong together; edges and centre only for bins of a number."""

    label: str
    rows: NDArray[Any]
    centre: float = float("nan")
    low_edge: float = float("nan")
    high_edge: float = float("nan")


def break_down(
    columns: Columns, specz: SpecSample, settings: ValidationSettings
) -> tuple[dict[str, tuple[Group, ...]], list[str]]:
    """Statistics in the bins of every breakdown the columns allow.

    Returns
    -------
    The groups by breakdown, and a note for each breakdown that had to be left out, with the column it lacks.
    """
    groups, notes = {}, []
    measured = {name: columns[name] for name in measured_columns(columns, settings.weight)}
    for name, bins in _breakdowns(columns, specz, settings):
        if isinstance(bins, str):
            notes.append(f"no breakdown by {TITLES[name]}: {bins}")
        elif bins:
            groups[name] = tuple(
                _measure(name, part, measured, settings, len(bins)) for part in bins
            )
    unknown = set(settings.edges) - {*CONTINUOUS, "psf"}
    if unknown:
        raise ConfigError(
            f"edges.{min(unknown)}: no such breakdown; there are {', '.join([*CONTINUOUS, 'psf'])}"
        )
    return groups, notes


def _measure(
    name: str, part: Bin, columns: Columns, settings: ValidationSettings, bins: int
) -> Group:
    replicates = REPLICATES if bins <= INTERVAL_BINS else 0
    n, estimates = measure(
        take(columns, part.rows),
        settings.weight,
        replicates=replicates,
        draw=DRAW,
        seed=settings.seed,
    )
    return Group(
        name,
        part.label,
        n,
        estimates,
        centre=part.centre,
        low_edge=part.low_edge,
        high_edge=part.high_edge,
    )


def _breakdowns(
    columns: Columns, specz: SpecSample, settings: ValidationSettings
) -> Iterator[tuple[str, list[Bin] | str]]:
    """Each breakdown with its bins, or with the reason why there are none."""
    for name, column in CONTINUOUS.items():
        yield name, number_bins(columns, column, settings.bins, settings.edges.get(name))
    seeing = next((column for column in SEEING if column in columns), " or ".join(SEEING))
    yield "psf", number_bins(columns, seeing, settings.bins, settings.edges.get("psf"))
    red = colour_class(columns, settings.red)
    if isinstance(red, str):
        yield "colour", red
    else:
        yield "colour", _categories({"red": red, "blue": ~red})
        yield "colour_r", _colour_and_magnitude(columns, red, settings.bins)
    yield "flag", _flag_bins(columns)
    yield "mask", _mask_bins(columns)
    yield (
        "hemisphere",
        _categories({"KiDS-N": columns["DEC"] > NORTH_OF, "KiDS-S": columns["DEC"] <= NORTH_OF}),
    )
    yield (
        "source",
        _categories({name: columns["SPEC_SOURCE"] == k for k, name in enumerate(specz.sources)}),
    )
    yield (
        "tile",
        value_bins(columns["KIDS_TILE"])
        if "KIDS_TILE" in columns
        else "the catalogue lacks KIDS_TILE",
    )


def number_bins(
    columns: Columns, column: str, bins: int, edges: tuple[float, ...] | None
) -> list[Bin] | str:
    """Bins of a number: between the given edges, or with equal numbers of objects."""
    missing = [name for name in column.split(" - ") if name not in columns]
    if missing:
        return f"the catalogue lacks {', '.join(missing)}"
    parts = [columns[name].astype(np.float64) for name in column.split(" - ")]
    x = parts[0] - parts[1] if len(parts) == 2 else parts[0]
    finite = x[np.isfinite(x)]
    if not len(finite):
        return f"{column} is null everywhere"
    limits = (
        np.array(edges) if edges else np.unique(np.quantile(finite, np.linspace(0, 1, bins + 1)))
    )
    if len(limits) < 2:
        return f"{column} has one value only"
    if not edges:
        limits[-1] = np.nextafter(limits[-1], np.inf)
    which = np.digitize(x, limits) - 1
    return [
        Bin(f"{low:.3g} to {high:.3g}", rows, float(np.median(x[rows])), float(low), float(high))
        for k, (low, high) in enumerate(pairwise(limits))
        if len(rows := np.flatnonzero((which == k) & np.isfinite(x)))
    ]


def value_bins(values_N: NDArray[Any]) -> list[Bin]:
    """One bin per value of a column of text."""
    names, code = np.unique(values_N.astype(str), return_inverse=True)
    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(1, len(names)))
    return [Bin(str(name), rows) for name, rows in zip(names, np.split(order, starts), strict=True)]


def colour_class(columns: Columns, expression: str) -> NDArray[np.bool_] | str:
    """True for red galaxies, or the reason why that cannot be told; a missing magnitude counts as blue."""
    missing = [name for name in names_in(expression) if name not in columns]
    if missing:
        return f"the catalogue lacks {', '.join(missing)}"
    return select(expression, columns, len(columns["Z_SPEC"]))


def _categories(masks: Mapping[str, NDArray[np.bool_]]) -> list[Bin]:
    return [Bin(label, rows) for label, mask in masks.items() if len(rows := np.flatnonzero(mask))]


def _colour_and_magnitude(columns: Columns, red: NDArray[np.bool_], bins: int) -> list[Bin] | str:
    parts = number_bins(columns, CONTINUOUS["r"], max(2, bins // 2), None)
    if isinstance(parts, str):
        return parts
    return [
        Bin(f"{label}, r {part.label}", rows, part.centre, part.low_edge, part.high_edge)
        for label, mask in (("red", red), ("blue", ~red))
        for part in parts
        if len(rows := part.rows[mask[part.rows]])
    ]


def _flag_bins(columns: Columns) -> list[Bin] | str:
    """One bin per flag that is set anywhere (they overlap), and one without any."""
    if "PHOTOZ_FLAG" not in columns:
        return "the catalogue lacks PHOTOZ_FLAG"
    value = columns["PHOTOZ_FLAG"].astype(np.int64)
    return _categories(
        {"none": value == 0} | {flag.name: (value & flag.value) != 0 for flag in flags.FLAGS}
    )


def _mask_bins(columns: Columns) -> list[Bin] | str:
    if "MASK" not in columns:
        return "the catalogue lacks MASK"
    masked = np.nan_to_num(columns["MASK"].astype(np.float64)) != 0
    return _categories({"MASK = 0": ~masked, "MASK > 0": masked})
