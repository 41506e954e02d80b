"""Validating a catalogue against spectroscopic redshifts, from files to a result."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import BadDataError
from photoz_run.flags import SCIENCE_CUT
from photoz_run.progress import SILENT, StepProgress
from photoz_run.science.redshift_distribution import Spikes, find_spikes, imprint
from photoz_run.science.resampling import resample
from photoz_run.science.selection import select
from photoz_run.tables.arrays import floats
from photoz_run.validation.breakdowns import break_down, rows_where
from photoz_run.validation.catalogue import QUANTILES, Catalogue, read_catalogue
from photoz_run.validation.findings import find, suspects
from photoz_run.validation.grouping import group_pairs
from photoz_run.validation.inputs import tiles_of_run
from photoz_run.validation.metrics import Group, Sample, compare, group_of, sample
from photoz_run.validation.overlap import repeatability
from photoz_run.validation.pairs import Pairs, pair
from photoz_run.validation.remeasured import Remeasured, measure_again
from photoz_run.validation.representative import represent
from photoz_run.validation.result import ComparedColumn, Result
from photoz_run.validation.settings import ValidationSettings
from photoz_run.validation.specz import SpecSample, read_specz
from photoz_run.validation.subject import Subject, read_subject
from photoz_run.validation.tables import Columns, open_catalogue
from photoz_run.validation.tomography import tomography
from photoz_run.validation.uncertainty import distribution


def validate(
    path: Path,
    settings: ValidationSettings,
    notes: Sequence[str] = (),
    run_selection: str = "",
    say: Callable[[str], None] = lambda _: None,
    progress: StepProgress = SILENT,
) -> tuple[Result, Pairs]:
    """Validate the catalogue at ``path`` against the spec-z tables of ``settings``.

    ``notes`` are what is known of the catalogue beforehand, ``run_selection`` which sources its run
    measured; the result has both. ``say`` is told what takes time.

    Raises
    ------
    ConfigError
        If columns or expressions do not fit the tables.
    BadDataError
        If a table cannot be read, holds no redshift, or the positions do not match.
    """
    with progress.step("spec-z read"):
        specz = read_specz(settings.specz)
    with progress.step("catalogue read"):
        catalogue, repeats = read_catalogue(path, settings)
    # Of selected sources any share may match.
    fewest = 0.0 if settings.select else settings.match_fraction_min
    with progress.step("sources and spec-z matched"):
        pairs = pair(catalogue, specz, settings.radius, fewest)
    # Of twenty million spec-z the rows are 500 MB, that the statistics need.
    specz = specz.without_rows()
    if settings.weight:
        _check_weights(path, settings.weight, pairs.columns[settings.weight])
    subject = read_subject(catalogue.table, run_selection, settings.select)
    again = _quantiles_again(catalogue, subject, pairs, say)
    with progress.step("statistics"):
        result = examine(catalogue, repeats, specz, pairs, settings, again)
    return replace(result, subject=subject, notes=(*result.notes, *notes)), pairs


def examine(
    catalogue: Catalogue,
    repeats: Columns,
    specz: SpecSample,
    pairs: Pairs,
    settings: ValidationSettings,
    again: Remeasured | str | None = None,
) -> Result:
    """Compute every statistic of the pairs.

    ``again`` are quantiles that were measured again, or the reason why there are none.
    """
    grouping = group_pairs(pairs.columns)
    resampling = resample(grouping.group_N, seed=settings.seed)
    every = sample(pairs.columns, resampling, settings.weight)
    representative = represent(catalogue, pairs.columns, every, settings)
    known = None if isinstance(representative, str) else representative
    if known is not None:
        every = replace(every, like_N=known.like_N)
    overall = group_of("all", "all", every)
    breakdowns, notes = break_down(pairs.columns, every, overall, specz, settings)
    science = _of_science_cut(pairs.columns, every)
    if isinstance(representative, str):
        notes.append(f"not known whether the spec-z are like the catalogue: {representative}")
    nz = tomography(catalogue, pairs.columns, resampling, known, settings)
    notes += [f"no n(z) in tomographic bins: {nz}"] if isinstance(nz, str) else nz.notes
    comparisons = []
    for other in catalogue.compare:
        group, paired = compare(pairs.columns, other, every, settings.weight)
        if group.n:
            comparisons.append(ComparedColumn(group, paired))
        elif other not in catalogue.fetched:
            notes.append(f"{other}: no galaxy has this redshift")
    if isinstance(again, str):
        notes.append(f"no quantiles beyond the two intervals: {again}")
    notes += _about_inputs(catalogue)
    spikes = find_spikes(catalogue.z_N, overall["smad"].value)
    return Result(
        catalogue=str(catalogue.path),
        rows=catalogue.rows,
        repeated=catalogue.repeated,
        specz=specz.tables,
        counts=pairs.counts,
        overall=overall,
        grouping=grouping.words,
        science=science,
        representative=known,
        tomography=None if isinstance(nz, str) else nz,
        spikes=spikes,
        imprint=_imprint(spikes, settings.training_nz),
        repeatability=repeatability(repeats),
        distribution=distribution(
            pairs.columns,
            catalogue.levels_Q,
            settings,
            every,
            again if isinstance(again, Remeasured) else None,
        ),
        comparisons=tuple(comparisons),
        breakdowns=breakdowns,
        findings=tuple(find(overall, breakdowns, spikes)),
        suspects=suspects(overall, breakdowns.get("tile", ())),
        notes=(*specz.remarks, *notes),
    )


def _quantiles_again(
    catalogue: Catalogue, subject: Subject, pairs: Pairs, say: Callable[[str], None]
) -> Remeasured | str | None:
    """Quantiles that a run did not keep; None where they are not needed, or it is no run."""
    if QUANTILES in pairs.columns or not subject.model_digest:
        return None
    if not (catalogue.path / "run.toml").is_file():
        return None
    tiles = tiles_of_run(catalogue.path)
    return measure_again(catalogue.path, subject.model_digest, pairs.columns, tiles, say)


def _about_inputs(catalogue: Catalogue) -> list[str]:
    """Which columns came from the inputs of a run, or why none could."""
    if catalogue.lacks_inputs:
        return [f"columns that the run did not keep are not known: {catalogue.lacks_inputs}"]
    if not catalogue.fetched:
        return []
    names = ", ".join(catalogue.fetched)
    return [f"read from the catalogues that the run measured: {names}"]


def _of_science_cut(columns: Columns, pairs: Sample) -> Group | None:
    """The statistics of the recommended cut; None without the flags that it needs."""
    if "PHOTOZ_FLAG" not in columns:
        return None
    rows = select(SCIENCE_CUT, columns, len(columns["Z_SPEC"]))
    return group_of("cut", "science cut", pairs.of(rows_where(rows)))


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
