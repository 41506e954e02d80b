"""The statistics in bins of numbers, and by colour class, flag, mask, tile and survey."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run import flags
from photoz_run.errors import ConfigError
from photoz_run.science.selection import names_in, select
from photoz_run.validation.catalogue import SEEING
from photoz_run.validation.grouping import text_codes
from photoz_run.validation.metrics import (
    FRACTIONS,
    Estimate,
    Group,
    Sample,
    contrast,
    group_of,
    values_of,
)
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.specz import SpecSample
from photoz_run.validation.tables import Columns

NORTH_OF = -15.0
"""KiDS-N and KiDS-S lie on either side of this declination (deg)."""

CATEGORIES = ("colour", "flag", "mask", "hemisphere", "source")
"""Breakdowns whose bins are compared with all other pairs."""

FEWEST = 20
"""Galaxies of a bin below which its figures say nothing."""

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
    columns: Columns,
    pairs: Sample,
    overall: Group,
    specz: SpecSample,
    settings: ValidationSettings,
) -> tuple[dict[str, tuple[Group, ...]], list[str]]:
    """Statistics in the bins of every breakdown the columns allow.

    Parameters
    ----------
    columns, pairs, overall
        The columns of the pairs, what they add to the statistics, and the statistics of all.

    Returns
    -------
    The groups by breakdown, and a note for each breakdown that is left out, which says why.
    """
    groups, notes = {}, []
    for name, bins in _breakdowns(columns, specz, settings):
        if isinstance(bins, str):
            notes.append(f"no breakdown by {TITLES[name]}: {bins}")
        elif bins:
            if name == "tile":
                groups[name] = tuple(_tile(part, pairs, overall) for part in bins)
            else:
                groups[name] = tuple(_bin(name, part, pairs) for part in bins)
    unknown = set(settings.edges) - {*CONTINUOUS, "psf"}
    if unknown:
        raise ConfigError(
            f"edges.{min(unknown)}: no such breakdown; there are {', '.join([*CONTINUOUS, 'psf'])}"
        )
    return groups, notes


def _bin(name: str, part: Bin, pairs: Sample) -> Group:
    """The statistics of one bin of the breakdown ``name``; of a category beside all others."""
    # Of a category that holds all pairs nothing is copied or added up again.
    here = pairs if len(part.rows) == len(pairs.resampling) else pairs.of(part.rows)
    return group_of(
        name,
        part.label,
        here,
        centre=part.centre,
        low_edge=part.low_edge,
        high_edge=part.high_edge,
        contrasts=contrast(here, pairs) if name in CATEGORIES else {},
    )


def _tile(part: Bin, pairs: Sample, overall: Group) -> Group:
    """The statistics of one tile."""
    here = pairs.of(part.rows)
    n = int(np.isfinite(here.terms.z_phot_N).sum())
    estimates = _of_tile(here, n, overall.n, overall.estimates)
    weighted = here.weighted()
    if weighted is None:
        return Group("tile", part.label, n, estimates)
    effective = weighted.effective
    return Group(
        "tile",
        part.label,
        n,
        estimates,
        weighted=_of_tile(weighted, effective, overall.effective, overall.weighted),
        effective=effective,
    )


def _of_tile(
    pairs: Sample, number: float, overall_number: float, overall: Mapping[str, Estimate]
) -> dict[str, Estimate]:
    """The statistics of the pairs of a tile.

    Their errors are those of all pairs by galaxy, for the number of galaxies and their scatter.
    """
    values = values_of(pairs.terms)
    usual = overall["smad"].value
    wider = max(1.0, values["smad"] / usual) if usual > 0 else 1.0
    shrink = np.sqrt(overall_number / number) if number > 1 else np.nan
    estimates = {}
    for name, value in values.items():
        error = overall[name].by_galaxy * shrink
        if name not in FRACTIONS:
            error *= wider
        estimates[name] = Estimate(value, value - error, value + error, error, 1)
    return estimates


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
        yield "colour", categories([("red", red), ("blue", ~red)])
        yield "colour_r", _colour_and_magnitude(columns, red, settings.bins)
    yield "flag", flag_bins(columns)
    yield "mask", mask_bins(columns)
    north = columns["DEC"] > NORTH_OF
    yield "hemisphere", categories([("KiDS-N", north), ("KiDS-S", ~north)])
    source_N = columns["SPEC_SOURCE"]
    yield "source", categories((name, source_N == k) for k, name in enumerate(specz.sources))
    if "KIDS_TILE" in columns:
        yield "tile", value_bins(columns["KIDS_TILE"])
    else:
        yield "tile", "the catalogue lacks KIDS_TILE"


def number_bins(
    columns: Columns, column: str, bins: int, edges: tuple[float, ...] | None
) -> list[Bin] | str:
    """Bins of a number: between the given edges, or with equal numbers of objects."""
    names = column.split(" - ")
    missing = [name for name in names if name not in columns]
    if missing:
        return f"the catalogue lacks {', '.join(missing)}"
    terms = [columns[name].astype(np.float64, copy=False) for name in names]
    x_N = terms[0] - terms[1] if len(terms) == 2 else terms[0]
    finite_N = np.isfinite(x_N)
    if not finite_N.any():
        return f"{column} is null everywhere"
    limits = np.array(edges) if edges else _equal_numbers(x_N[finite_N], bins)
    if len(limits) < 2:
        return f"{column} has one value only"
    # NaN lies above all limits, and in no bin.
    which_N = (np.digitize(x_N, limits) - 1).astype(np.int16)
    parts = []
    for k, (low, high) in enumerate(pairwise(limits.tolist())):
        rows = rows_where(which_N == k)
        if len(rows):
            label = f"{low:.3g} to {high:.3g}"
            parts.append(Bin(label, rows, float(np.median(x_N[rows])), low, high))
    return parts


def rows_where(mask_N: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The rows that a mask chooses, in a narrow type: of twenty million each byte is 20 MB."""
    return np.flatnonzero(mask_N).astype(np.int32)


def _equal_numbers(x_N: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Edges of bins that hold equal numbers of objects; fewer where many have the same value.

    The values are put in another order.
    """
    edges = np.unique(np.quantile(x_N, np.linspace(0, 1, bins + 1), overwrite_input=True))
    if len(edges) > 1:
        # The last bin holds the largest value, too.
        edges[-1] = np.nextafter(edges[-1], np.inf)
    return edges


def value_bins(values_N: NDArray[Any]) -> list[Bin]:
    """One bin per value of a column of text."""
    names, code = text_codes(values_N)
    order = np.argsort(code, kind="stable").astype(np.int32)
    starts = np.searchsorted(code[order], np.arange(1, len(names)))
    rows_of_names = np.split(order, starts)
    return [Bin(str(name), rows) for name, rows in zip(names, rows_of_names, strict=True)]


def colour_class(columns: Columns, expression: str) -> NDArray[np.bool_] | str:
    """True for red galaxies, or the reason why that cannot be told.

    A galaxy whose magnitude is missing counts as blue.
    """
    missing = [name for name in names_in(expression) if name not in columns]
    if missing:
        return f"the catalogue lacks {', '.join(missing)}"
    return select(expression, columns, len(columns["Z_SPEC"]))


def categories(masks: Iterable[tuple[str, NDArray[np.bool_]]]) -> list[Bin]:
    """One bin per label that any galaxy has."""
    return [Bin(label, rows_where(mask)) for label, mask in masks if mask.any()]


def _colour_and_magnitude(columns: Columns, red: NDArray[np.bool_], bins: int) -> list[Bin] | str:
    parts = number_bins(columns, CONTINUOUS["r"], max(2, bins // 2), None)
    if isinstance(parts, str):
        return parts
    split = []
    for colour, mask in (("red", red), ("blue", ~red)):
        for part in parts:
            rows = part.rows[mask[part.rows]]
            if len(rows):
                label = f"{colour}, r {part.label}"
                split.append(Bin(label, rows, part.centre, part.low_edge, part.high_edge))
    return split


def flag_bins(columns: Columns) -> list[Bin] | str:
    """One bin per flag that is set anywhere (they overlap), and one without any."""
    if "PHOTOZ_FLAG" not in columns:
        return "the catalogue lacks PHOTOZ_FLAG"
    value_N = columns["PHOTOZ_FLAG"].astype(np.int64)
    of_flags = ((flag.name, (value_N & flag.value) != 0) for flag in flags.FLAGS)
    return categories(chain([("none", value_N == 0)], of_flags))


def mask_bins(columns: Columns) -> list[Bin] | str:
    """One bin of unmasked sources, and one of the others."""
    if "MASK" not in columns:
        return "the catalogue lacks MASK"
    masked = np.nan_to_num(columns["MASK"].astype(np.float64)) != 0
    return categories([("MASK = 0", ~masked), ("MASK > 0", masked)])
