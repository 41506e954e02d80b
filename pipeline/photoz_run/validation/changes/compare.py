"""Comparing two catalogues, from files to a result."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run.progress import SILENT, StepProgress
from photoz_run.science.resampling import resample
from photoz_run.science.statistics import Floats, median
from photoz_run.tables.table import Table
from photoz_run.validation.catalogue import MAGNITUDES, Catalogue, read_catalogue, take
from photoz_run.validation.changes.accuracy import Accuracy, accuracy
from photoz_run.validation.changes.columns import ColumnChange, ReadRows, column_changes
from photoz_run.validation.changes.moves import (
    FlagChange,
    Move,
    flag_changes,
    moves,
    shifted_tiles,
)
from photoz_run.validation.changes.pairing import NONE, Shared, share
from photoz_run.validation.grouping import group_pairs
from photoz_run.validation.metrics import sample
from photoz_run.validation.pairs import pair
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.specz import read_specz
from photoz_run.validation.subject import Subject, read_subject
from photoz_run.validation.tables import Columns, open_catalogue

FOR_WHOM = (
    "KIDS_TILE",
    "MAG_AUTO_CALIB",
    "PHOTOZ_FLAG",
    "MASK",
    "Z_PHOT_LO68",
    "Z_PHOT_HI68",
    *MAGNITUDES,
)
"""Columns by which sources are sorted into bins, and the quoted errors."""


@dataclass(frozen=True)
class Compared:
    """One of the two catalogues."""

    path: str
    sources: int
    """Each ID once, of the selected rows."""
    only: int
    """Those that the other catalogue does not have."""
    subject: Subject
    only_columns: tuple[str, ...]
    """Columns that the other catalogue does not have."""


@dataclass(frozen=True)
class Changes:
    """How catalogue A differs from catalogue B."""

    a: Compared
    b: Compared
    shared: int
    appeared: int
    """Sources of both that have a redshift in A alone."""
    vanished: int
    """Sources of both that have a redshift in B alone."""
    scatter: float
    scatter_words: str
    columns: tuple[ColumnChange, ...]
    moves: dict[str, tuple[Move, ...]]
    flags: tuple[FlagChange, ...]
    shifted: tuple[str, ...]
    """Tiles whose redshifts moved otherwise than those of the others, in words."""
    accuracy: Accuracy | None
    z_a_K: Floats = field(repr=False)
    z_b_K: Floats = field(repr=False)
    notes: tuple[str, ...] = ()


def compare_catalogues(
    path_a: Path,
    path_b: Path,
    settings: ValidationSettings,
    selections: tuple[str, str] = ("", ""),
    progress: StepProgress = SILENT,
) -> Changes:
    """Compare the catalogue at ``path_a`` with that at ``path_b``, paired by ID.

    Without spec-z in the settings nothing is said of accuracy. ``selections`` say which sources the
    runs behind the catalogues measured.

    Raises
    ------
    ConfigError
        If the catalogues have no ID in common, or columns do not fit.
    BadDataError
        If a table cannot be read, or spec-z do not match.
    """
    with progress.step("catalogues read"):
        a, _ = read_catalogue(path_a, settings)
        b, _ = read_catalogue(path_b, settings)
    with progress.step("sources paired by ID"):
        shared = share(a, b)
    measured: Accuracy | None = None
    notes: list[str] = []
    if settings.specz:
        with progress.step("statistics"):
            measured, notes = _measure(a, b, shared, settings)
    columns_a = a.columns_of(shared.a_K, ["PHOTOZ_FLAG"])
    columns_b = b.columns_of(shared.b_K, FOR_WHOM)
    z_a_K, z_b_K = a.z_N[shared.a_K], b.z_N[shared.b_K]
    scatter, words = _scatter(measured, columns_b)
    with progress.step("columns compared"):
        table_a, table_b = (open_catalogue(path, [settings.z_phot]) for path in (path_a, path_b))
        rows_a, rows_b = (
            ReadRows(table_a, a.row_N[shared.a_K]),
            ReadRows(table_b, b.row_N[shared.b_K]),
        )
        columns = tuple(column_changes(rows_a, rows_b, z_b_K, scatter))
        by_set = moves(z_a_K, z_b_K, between(columns_b, z_a_K), scatter, settings)
    return Changes(
        a=_side(a, table_a, table_b, shared.only_a, selections[0], settings.select),
        b=_side(b, table_b, table_a, shared.only_b, selections[1], settings.select),
        shared=len(shared),
        appeared=int((np.isfinite(z_a_K) & ~np.isfinite(z_b_K)).sum()),
        vanished=int((np.isfinite(z_b_K) & ~np.isfinite(z_a_K)).sum()),
        scatter=scatter,
        scatter_words=words,
        columns=columns,
        moves=by_set,
        flags=tuple(flag_changes(columns_a, columns_b)),
        shifted=tuple(shifted_tiles(by_set, scatter)),
        accuracy=measured,
        z_a_K=z_a_K,
        z_b_K=z_b_K,
        notes=tuple(notes),
    )


def between(columns_b: Columns, z_a_K: Floats) -> dict[str, NDArray[Any]]:
    """Columns of B with the mean of both redshifts, by which galaxies are sorted into bins.

    Sorted by the redshift of one catalogue, the galaxies of the outer bins would be those that its
    errors carried there, and the other would seem to differ.
    """
    return {**columns_b, "Z_PHOT": (columns_b["Z_PHOT"] + z_a_K) / 2}


def _side(
    own: Catalogue, table: Table, other: Table, only: int, run_selection: str, selection: str
) -> Compared:
    subject = read_subject(table, run_selection, selection)
    return Compared(str(own.path), len(own), only, subject, tuple(other.missing(list(table.names))))


def _scatter(measured: Accuracy | None, columns_b: Columns) -> tuple[float, str]:
    """The scatter of dz / (1 + z) in B, and where it is known from."""
    if measured is not None:
        return measured.scatter, "SMAD of normdz in B"
    if not {"Z_PHOT_LO68", "Z_PHOT_HI68"} <= set(columns_b):
        return nan, "not known: B has no intervals, and no spec-z were given"
    width_K = columns_b["Z_PHOT_HI68"].astype(np.float64) - columns_b["Z_PHOT_LO68"]
    quoted = float(median(width_K / 2 / (1 + columns_b["Z_PHOT"])))
    return quoted, "median of the quoted errors in B, half of the 68% interval"


def _measure(
    a: Catalogue, b: Catalogue, shared: Shared, settings: ValidationSettings
) -> tuple[Accuracy | None, list[str]]:
    """Statistics of both on the spectra that match a source of both; None if there are none."""
    specz = read_specz(settings.specz)
    fewest = 0.0 if settings.select else settings.match_fraction_min
    pairs = pair(a, specz, settings.radius, fewest)
    source_b_K = shared.b_of_a(len(a))[pairs.source_K]
    in_both = source_b_K != NONE
    of_spectra = ("Z_SPEC", "SPEC_SOURCE", "SEPARATION")
    columns_a = take(pairs.columns, in_both)
    columns_b = b.columns_of(source_b_K[in_both])
    columns_b |= {name: columns_a[name] for name in of_spectra}
    known_a, known_b = (np.isfinite(part["Z_PHOT"]) for part in (columns_a, columns_b))
    both = known_a & known_b
    if not both.any():
        return None, ["no statistics: no galaxy has a spec-z and a redshift in both catalogues"]
    columns_a, columns_b = take(columns_a, both), take(columns_b, both)
    grouping = group_pairs(columns_b)
    resampling = resample(grouping.group_N, seed=settings.seed)
    ours, theirs = (sample(part, resampling, settings.weight) for part in (columns_a, columns_b))
    without = (int((known_b & ~known_a).sum()), int((known_a & ~known_b).sum()))
    measured = accuracy(
        ours, theirs, between(columns_b, columns_a["Z_PHOT"]), settings, grouping.words, without
    )
    return measured, list(specz.remarks)


def sides(changes: Changes) -> Sequence[tuple[str, Compared]]:
    """Both catalogues with the letters that stand for them."""
    return (("A", changes.a), ("B", changes.b))
