"""How far redshifts moved between two catalogues, and for whom: needs no spectra."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from photoz_run import flags
from photoz_run.science.many_looks import beyond_chance, excess_scatter, sigmas
from photoz_run.science.statistics import Floats, median, smad
from photoz_run.validation.breakdowns import (
    CONTINUOUS,
    FEWEST,
    TITLES,
    Bin,
    categories,
    colour_class,
    flag_bins,
    mask_bins,
    number_bins,
    value_bins,
)
from photoz_run.validation.findings import BIAS_SHARE
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.tables import Columns

BEYOND = 0.15
"""Sources that moved by more, over 1 + z, count as moved far."""
TILES_LEVEL = 0.005
"""Of Holm's correction over the tiles."""
MEDIAN_ERROR = float(np.sqrt(np.pi / 2))
"""Error of the median of Gaussian numbers, in units of that of the mean."""


@dataclass(frozen=True)
class Move:
    """How (z_A - z_B) / (1 + z_B) is distributed for some of the sources of both."""

    breakdown: str
    label: str
    n: int
    changed: float
    """Share whose redshift differs at all."""
    median: float
    smad: float
    over_scatter: float
    """Share that moved by more than the scatter; NaN if it is not known."""
    beyond: float
    """Share that moved by more than `BEYOND`."""


@dataclass(frozen=True)
class FlagChange:
    """Sources that have a flag in A alone, in B alone, and in both."""

    name: str
    only_a: int
    only_b: int
    both: int


def moves(
    z_a_K: Floats,
    z_b_K: Floats,
    columns: Columns,
    scatter: float,
    settings: ValidationSettings,
) -> dict[str, tuple[Move, ...]]:
    """How redshifts moved: for all, and by magnitude, redshift, colour class, flag, mask and tile.

    The sources are sorted by ``columns``.
    """
    shift_K = (z_a_K - z_b_K) / (1 + z_b_K)
    known = np.flatnonzero(np.isfinite(shift_K))
    everything = _move("all", Bin("all", known), shift_K, scatter)
    measured: dict[str, tuple[Move, ...]] = {"all": (everything,)}
    for name, bins in _bins(columns, settings):
        if not isinstance(bins, str):
            measured[name] = tuple(_move(name, part, shift_K, scatter) for part in bins)
    return measured


def _bins(columns: Columns, settings: ValidationSettings) -> Iterator[tuple[str, list[Bin] | str]]:
    for name in ("r", "z_phot"):
        edges = settings.edges.get(name)
        yield name, number_bins(columns, CONTINUOUS[name], settings.bins, edges)
    # The class is told by photometric columns alone: most of these sources have no spectrum.
    red = colour_class({**columns, "Z_SPEC": columns["Z_PHOT"]}, settings.red)
    yield "colour", red if isinstance(red, str) else categories([("red", red), ("blue", ~red)])
    yield "flag", flag_bins(columns)
    yield "mask", mask_bins(columns)
    if "KIDS_TILE" in columns:
        yield "tile", value_bins(columns["KIDS_TILE"])


def _move(name: str, part: Bin, shift_K: Floats, scatter: float) -> Move:
    shift = shift_K[part.rows]
    shift = shift[np.isfinite(shift)]
    size, n = np.abs(shift), len(shift)

    def share(which: NDArray[np.bool_]) -> float:
        return float(which.mean()) if n else float("nan")

    return Move(
        name,
        part.label,
        n,
        changed=share(size > 0),
        median=float(median(shift)),
        smad=float(smad(shift)),
        over_scatter=share(size > scatter) if scatter > 0 else float("nan"),
        beyond=share(size > BEYOND),
    )


def flag_changes(columns_a: Columns, columns_b: Columns) -> list[FlagChange]:
    """Which flags came and went; nothing where a catalogue has none."""
    if "PHOTOZ_FLAG" not in columns_a or "PHOTOZ_FLAG" not in columns_b:
        return []
    a_K, b_K = (part["PHOTOZ_FLAG"].astype(np.int64) for part in (columns_a, columns_b))
    changes = []
    for flag in flags.FLAGS:
        in_a, in_b = (a_K & flag.value) != 0, (b_K & flag.value) != 0
        counts = (int((in_a & ~in_b).sum()), int((in_b & ~in_a).sum()), int((in_a & in_b).sum()))
        if any(counts):
            changes.append(FlagChange(flag.name, *counts))
    return changes


def shifted_tiles(measured: Mapping[str, Sequence[Move]], scatter: float) -> list[str]:
    """Tiles whose redshifts moved otherwise than those of the other tiles, in words.

    They stand out from the scatter of all tiles by more than chance (Holm 1979), and by more than
    `BIAS_SHARE` of the scatter of the redshifts.
    """
    tiles = [move for move in measured.get("tile", ()) if move.n >= FEWEST]
    if len(tiles) < 2 or not scatter > 0:
        return []
    shift_T = np.array([move.median for move in tiles])
    error_T = np.array([MEDIAN_ERROR * move.smad / np.sqrt(move.n) for move in tiles])
    usual = float(np.median(shift_T))
    tau = excess_scatter(shift_T, error_T)
    with np.errstate(divide="ignore", invalid="ignore"):
        t_T = np.abs(shift_T - usual) / np.hypot(error_T, tau)
    chance_T = 2 * stats.t.sf(t_T, len(tiles) - 1 if tau else np.inf)
    beyond_T = beyond_chance(chance_T, TILES_LEVEL) & (
        np.abs(shift_T - usual) > BIAS_SHARE * scatter
    )
    return [
        f"{TITLES['tile']} {tiles[k].label}: redshifts moved by {shift_T[k]:+z.4f} (1 + z) in the"
        f" median where {usual:+z.4f} is usual ({tiles[k].n:,} sources,"
        f" {sigmas(float(chance_T[k])):.0f} sigma)"
        for k in np.argsort(chance_T)
        if beyond_T[k]
    ]
