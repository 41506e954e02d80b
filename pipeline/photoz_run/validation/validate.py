"""Validating a catalogue against spectroscopic redshifts, from files to a result."""

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import BadDataError
from photoz_run.flags import SCIENCE_CUT
from photoz_run.science.redshift_distribution import Spikes, find_spikes, imprint
from photoz_run.science.selection import select
from photoz_run.tables.arrays import floats
from photoz_run.validation.breakdowns import break_down
from photoz_run.validation.catalogue import Catalogue, read_catalogue, take
from photoz_run.validation.findings import find
from photoz_run.validation.metrics import Group, compare, distribution, measure
from photoz_run.validation.overlap import repeatability
from photoz_run.validation.pairs import Pairs, pair
from photoz_run.validation.result import ComparedColumn, Result
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.specz import SpecSample, read_specz
from photoz_run.validation.subject import read_subject
from photoz_run.validation.tables import Columns, open_catalogue


def validate(
    path: Path, settings: ValidationSettings, notes: Sequence[str] = (), run_selection: str = ""
) -> tuple[Result, Pairs]:
    """Validate the catalogue at ``path`` against the spec-z tables of ``settings``.

    ``notes`` are what is known of the catalogue beforehand, ``run_selection`` which sources its run
    measured; the result has both.

    Raises
    ------
    ConfigError
        If columns or expressions do not fit the tables.
    BadDataError
        If a table cannot be read, holds no redshift, or the positions do not match.
    """
    specz = read_specz(settings.specz)
    catalogue, repeats = read_catalogue(path, settings)
    # Of selected sources any share may match.
    fewest = 0.0 if settings.select else settings.match_fraction_min
    pairs = pair(catalogue, specz, settings.radius, fewest)
    if settings.weight:
        _check_weights(path, settings.weight, pairs.columns[settings.weight])
    result = examine(catalogue, repeats, specz, pairs, settings)
    subject = read_subject(catalogue.table, run_selection, settings.select)
    return replace(result, subject=subject, notes=(*result.notes, *notes)), pairs


def examine(
    catalogue: Catalogue,
    repeats: Columns,
    specz: SpecSample,
    pairs: Pairs,
    settings: ValidationSettings,
) -> Result:
    """Compute every statistic of the pairs."""
    n, estimates = measure(pairs.columns, settings.weight, seed=settings.seed)
    overall = Group("all", "all", n, estimates)
    breakdowns, notes = break_down(pairs.columns, specz, settings)
    science = _of_science_cut(pairs.columns, settings)
    comparisons = []
    for other in catalogue.compare:
        group, paired = compare(pairs.columns, other, settings.weight, settings.seed)
        if group.n:
            comparisons.append(ComparedColumn(group, paired))
        else:
            notes.append(f"{other}: no galaxy has this redshift")
    spikes = find_spikes(catalogue.z_N, overall["smad"].value)
    return Result(
        catalogue=str(catalogue.path),
        rows=catalogue.rows,
        repeated=catalogue.repeated,
        specz=specz.tables,
        counts=pairs.counts,
        overall=overall,
        science=science,
        spikes=spikes,
        imprint=_imprint(spikes, settings.training_nz),
        repeatability=repeatability(repeats),
        distribution=distribution(
            pairs.columns, catalogue.levels_Q, settings.weight, settings.seed
        ),
        comparisons=tuple(comparisons),
        breakdowns=breakdowns,
        findings=tuple(find(overall, breakdowns, spikes)),
        notes=(*specz.remarks, *notes),
    )


def _of_science_cut(columns: Columns, settings: ValidationSettings) -> Group | None:
    """The statistics of the recommended cut; None without the flags that it needs."""
    if "PHOTOZ_FLAG" not in columns:
        return None
    rows = select(SCIENCE_CUT, columns, len(columns["Z_SPEC"]))
    n, estimates = measure(take(columns, rows), settings.weight, seed=settings.seed)
    return Group("cut", "science cut", n, estimates)


def _check_weights(path: Path, name: str, weight_K: NDArray[np.float64]) -> None:
    """Refuse weights that no mean can have: `BadDataError` says how many."""
    infinite, negative = int(np.isinf(weight_K).sum()), int((weight_K < 0).sum())
    if infinite or negative:
        raise BadDataError(
            f"{path}: weight {name} of {len(weight_K)} galaxies: {infinite} infinite, {negative}"
            f" negative; leave them out, select = 'isfinite({name}) and {name} >= 0'"
        )
    if not np.nansum(weight_K) > 0:
        raise BadDataError(
            f"{path}: weight {name} is 0 or missing for all {len(weight_K)} galaxies"
        )


def _imprint(spikes: Spikes, training: Path | None) -> tuple[float, float]:
    if training is None:
        return nan, nan
    table = open_catalogue(training, ["z"])
    return imprint(spikes, floats(table.where, table.read(["z"]), "z"))
