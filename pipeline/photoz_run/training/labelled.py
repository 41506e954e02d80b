"""Labelled galaxies for `photoz train`: from survey tiles and spec-z, or from a table."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from photoz_models.examples import Examples, SetFacts
from photoz_models.stamp_rule import IMAGE_BANDS, MAGNITUDE_BANDS, StampRule
from photoz_run.config import RunConfig
from photoz_run.survey.discovery import find_tiles
from photoz_run.training.training_set import (
    Redshifts,
    build_training_set,
    is_simulated,
    join_examples,
    training_rule,
)
from photoz_run.validation.settings import SpecSettings
from photoz_run.validation.specz import read_specz
from photoz_run.validation.tables import read_columns

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
    data: Sequence[Path],
    data_release: str | None,
    select: str,
    spectra: SpecSettings,
    report: Callable[[str], None],
) -> Examples:
    """The selected sources of all tiles in ``data`` with a spec-z, and their stamps.

    ``report`` gets a line after each tile.

    Raises
    ------
    ConfigError, BadDataError
        If a file cannot be used, or no source has a spec-z.
    """
    sample = read_specz([spectra])
    redshifts = Redshifts(sample.ra_M, sample.dec_M, sample.z_M)
    tiles = list(find_tiles(data, data_release).values())
    name = f"{', '.join(sample.sources)} x {tiles[0].data_release}"
    simulated = any(is_simulated(ref) for ref in tiles)
    facts = SetFacts(name, simulated, training_rule(IMAGE_BANDS, MAGNITUDE_BANDS))
    config = RunConfig(
        tiles=("all",), data=tuple(data), out=Path(), data_release=data_release, select=select
    )
    parts = []
    for part, _ in build_training_set(tiles, redshifts, config, facts):
        report(f"{part.tile_N[0]}: {len(part)} galaxies with spec-z")
        parts.append(part)
    return join_examples(name, parts)


def from_table(table: Path, bands: Mapping[str, str], z: str, simulated: bool) -> Examples:
    """The rows of a table of magnitudes as a set without stamps.

    Parameters
    ----------
    bands
        The column of each magnitude band.
    z
        The column of the redshift.

    Raises
    ------
    ConfigError
        If the table lacks a column.
    """
    columns = read_columns([table], [*bands.values(), z])
    magnitudes = [columns[name].astype(np.float32) for name in bands.values()]
    table_NT = np.stack(magnitudes, axis=1)
    number, size = len(table_NT), NO_STAMPS.stamp_size
    rule = NO_STAMPS.model_copy(update={"magnitude_bands": tuple(bands)})
    return Examples(
        SetFacts(table.name, simulated, rule),
        np.zeros((number, 0, size, size), np.float32),
        table_NT,
        columns[z].astype(np.float32),
        np.full(number, table.name),
    )
