"""Labelled galaxies for `photoz train`: from survey tiles and spec-z, or from a table."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from photoz_models.examples import Examples, SetFacts
from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS, StampRule
from photoz_run.config import RunConfig
from photoz_run.errors import BadDataError, ConfigError, context
from photoz_run.science.selection import names_in, select
from photoz_run.survey.band_columns import band_magnitudes, find_band_columns
from photoz_run.survey.discovery import find_tiles, is_simulated
from photoz_run.tables.arrays import floats, masked
from photoz_run.tables.opening import open_table
from photoz_run.tables.units import refuse_other_than_redshift
from photoz_run.training.training_set import (
    Redshifts,
    build_training_set,
    join_examples,
    training_rule,
)
from photoz_run.validation.settings import SpecSettings
from photoz_run.validation.specz import (
    REASONS,
    read_specz,
    refuse_magnitudes,
    usable_redshifts,
)
from photoz_run.validation.surveys import usual_cut

NO_STAMPS = StampRule(
    image_bands=(),
    magnitude_bands=(),
    stamp_size=36,
    pixel_scale=0.2,
    dmag_applied=False,
    extinction_corrected=False,
)
"""Of a set of magnitudes alone; what it says of pixels is said of none."""


def from_survey(
    config: RunConfig, spectra: SpecSettings, report: Callable[[str], None]
) -> Examples:
    """The selected sources of all tiles with a spec-z, and their stamps.

    ``report`` gets a line after each tile.

    Raises
    ------
    ConfigError, BadDataError
        If a file cannot be used, or no source has a spec-z.
    """
    try:
        sample = read_specz([spectra])
    except BadDataError as error:
        # No tile is to blame: the table is the user's to mend.
        raise ConfigError(str(error)) from error
    for remark in sample.remarks:
        report(remark)
    redshifts = Redshifts(sample.ra_M, sample.dec_M, sample.z_M)
    tiles = list(find_tiles(config.data, config.data_release).values())
    name = f"{', '.join(sample.sources)} x {tiles[0].data_release}"
    simulated = any(is_simulated(ref) for ref in tiles)
    facts = SetFacts(name, simulated, training_rule(IMAGE_BANDS, MAGNITUDE_BANDS))
    parts = []
    for part, _ in build_training_set(tiles, redshifts, config, facts):
        report(f"{part.tile_N[0]}: {len(part)} galaxies with spec-z")
        parts.append(part)
    return join_examples(name, parts)


def from_table(
    labels: SpecSettings,
    bands: Mapping[str, str],
    simulated: bool,
    report: Callable[[str], None],
) -> Examples:
    """The rows of a table of magnitudes as a set without stamps.

    Parameters
    ----------
    labels
        The table, its column of the redshift, and which rows to trust.
    bands
        The column of each magnitude band.
    report
        Gets a line if rows are left out.

    Raises
    ------
    ConfigError
        If the table lacks a column, or no row has a redshift.
    """
    try:
        table_NT, z_N = _labelled_rows(labels, bands, report)
    except BadDataError as error:
        # No tile is to blame: the table is the user's to mend.
        raise ConfigError(str(error)) from error
    number, size = len(table_NT), NO_STAMPS.stamp_size
    rule = NO_STAMPS.model_copy(update={"magnitude_bands": tuple(bands)})
    return Examples(
        SetFacts(labels.file.name, simulated, rule),
        np.zeros((number, 0, size, size), np.float32),
        table_NT,
        z_N,
        np.full(number, labels.file.name),
    )


def _labelled_rows(
    labels: SpecSettings, bands: Mapping[str, str], report: Callable[[str], None]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Magnitudes and redshifts of the good rows; ``report`` is told of the others."""
    z = labels.z
    table = open_table(labels.file, [*bands.values(), z])
    magnitudes = find_band_columns(table, list(bands), "first", bands)
    refuse_other_than_redshift(table, z)
    cut = usual_cut(table, z) if labels.quality is None else labels.quality
    named = names_in(cut) if cut else []
    rows = table.read([*magnitudes.names, z, *named])
    z_N = floats(table.where, rows, z)
    refuse_magnitudes(table.where, z, z_N)
    values = {name: masked(table.where, rows, name) for name in named}
    with context(f"{table.where}: cut"):
        poor_N = ~select(cut, values, len(rows)) if cut else np.zeros(len(rows), bool)
    good_N = ~poor_N
    left_out = [f"{int(poor_N.sum()):,} fail the cut {cut}"] if poor_N.any() else []
    for reason, bad_N in usable_redshifts(z_N).items():
        if number := int((bad_N & good_N).sum()):
            left_out.append(f"{number:,} {REASONS[reason]}")
        good_N &= ~bad_N
    if left_out:
        report(f"{labels.file.name}: left out of {len(rows):,} rows: {', '.join(left_out)}")
    if not good_N.any():
        raise BadDataError(f"{table.where}: none of its {len(rows):,} rows has a usable redshift")
    magnitudes_NB = band_magnitudes(table.where, rows, magnitudes)
    return magnitudes_NB[good_N], z_N[good_N].astype(np.float32)
