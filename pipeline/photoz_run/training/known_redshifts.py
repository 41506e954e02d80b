"""Galaxies by which a bundle is recalibrated: pairs of a validation, or a kept set."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from photoz_models.kept_sets import FACTS_FILE, load_examples
from photoz_models.level_map import LabelledQuantiles, digest_of, magnitudes_for
from photoz_models.session import PhotozModel
from photoz_run.catalogue.stated import stated_facts
from photoz_run.catalogue.table import QUANTILES
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.science.photometry import known_magnitudes
from photoz_run.tables import arrays
from photoz_run.tables.opening import open_table
from photoz_run.tables.table import Table
from photoz_run.training.comparison import other_stamps, predict, unseen
from photoz_run.validation.tables import matrix

MAGNITUDE, TILE = "MAG_GAAP_r", "KIDS_TILE"


def labelled_quantiles(
    model: PhotozModel, pairs: Path, say: Callable[[str], None] = lambda _: None
) -> LabelledQuantiles:
    """What a bundle says of galaxies whose redshifts are known.

    Parameters
    ----------
    pairs
        ``pairs.parquet`` of a validation, or a folder with a kept set. Of a set that the bundle was
        trained on, only the test part is taken.
    say
        Is told where the stamps of the set are other than the contract demands.

    Raises
    ------
    ConfigError
        If the table was not made by this bundle, or lacks what is needed.
    """
    if (pairs / FACTS_FILE).is_file():
        return _of_set(model, pairs, say)
    try:
        return _of_table(model, pairs)
    except BadDataError as error:
        raise ConfigError(str(error)) from error


def _of_set(model: PhotozModel, folder: Path, say: Callable[[str], None]) -> LabelledQuantiles:
    examples = load_examples(folder)
    for line in other_stamps(model.contract, examples):
        say(line)
    rows_N = unseen([model], examples)
    bands = examples.facts.rule.magnitude_bands
    r_N = np.full(len(rows_N), np.nan)
    if "r" in bands:
        r_N = examples.magnitudes_NB[rows_N, bands.index("r")].astype(np.float64)
    return LabelledQuantiles(
        quantiles_NQ=predict(model, examples, rows_N)[1],
        z_N=np.array(examples.z_N[rows_N]),
        r_N=magnitudes_for(model.contract, r_N),
        tile_N=np.array(examples.tile_N[rows_N]),
        name=examples.facts.name,
        digest=examples.digest(),
    ).usable()


def _of_table(model: PhotozModel, path: Path) -> LabelledQuantiles:
    table = open_table(path)
    _check_maker(model, table)
    optional = [name for name in (MAGNITUDE, TILE) if not table.missing([name])]
    names = ["Z_SPEC", QUANTILES, *optional]
    if table.missing([QUANTILES]):
        raise ConfigError(
            f"{path}: no column {QUANTILES}: run the bundle with --quantiles and validate that run,"
            " or give a kept set"
        )
    table.require(names)
    rows = table.read(names, lists=[QUANTILES])
    quantiles_NQ = matrix(rows[QUANTILES])
    number = len(model.contract.quantile_levels)
    if quantiles_NQ.shape[1] != number:
        raise ConfigError(
            f"{path}: {QUANTILES} has {quantiles_NQ.shape[1]} values, the bundle gives {number}"
        )
    z_N = arrays.floats(table.where, rows, "Z_SPEC")
    r_N = magnitudes_for(model.contract, _magnitudes(table, rows))
    return LabelledQuantiles(
        quantiles_NQ=quantiles_NQ,
        z_N=z_N,
        r_N=r_N,
        tile_N=arrays.texts(rows, TILE) if TILE in optional else np.zeros(len(z_N), int),
        name=path.name,
        digest=digest_of(quantiles_NQ, z_N, r_N),
    ).usable()


def _magnitudes(table: Table, rows: pa.Table) -> np.ndarray:
    if MAGNITUDE not in rows.column_names:
        return np.full(len(rows), np.nan)
    return known_magnitudes(arrays.floats(table.where, rows, MAGNITUDE))


def _check_maker(model: PhotozModel, table: Table) -> None:
    """The quantiles in the table must be those of the bundle."""
    maker = stated_facts(table.files()[0]).get("model_digest", "")
    if not maker:
        raise ConfigError(
            f"{table.where}: does not say which bundle its redshifts are from;"
            " photoz validate --pairs writes a table that does"
        )
    if maker != model.digest:
        raise ConfigError(
            f"{table.where}: its redshifts are those of the bundle with sha256 {maker[:12]}...,"
            f" not of {model.contract.name} {model.contract.version} ({model.digest[:12]}...)"
        )
