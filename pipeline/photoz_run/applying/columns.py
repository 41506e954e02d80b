"""What is read of a table, and the columns that come out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_models.contract import ModelContract
from photoz_run.catalogue.table import (
    as_array,
    dictionary_schema,
    quantile_array,
    quantile_field,
    redshift_columns,
)
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.records import Prediction
from photoz_run.survey.band_columns import BandColumns, find_band_columns
from photoz_run.survey.columns import described
from photoz_run.tables.keys import Names, id_column, position_columns, position_pair
from photoz_run.tables.opening import open_table
from photoz_run.tables.refusals import wrong_content
from photoz_run.tables.systems import refuse_other_systems
from photoz_run.tables.table import Table

MISSING = dictionary_schema("applied").field("MAG_MISSING")


@dataclass(frozen=True)
class Wanted:
    """The columns of the table that the user names; what is left out is recognised."""

    bands: Mapping[str, str] = field(default_factory=dict)
    """Column by magnitude band."""
    key: Names = field(default_factory=Names)
    keep: tuple[str, ...] = ()
    """Columns that come out as they are."""


@dataclass(frozen=True)
class Source:
    """An opened table with the columns that are used of it."""

    table: Table
    bands: BandColumns
    carried: tuple[pa.Field, ...]
    """Identifier, position and kept columns, as they come out."""

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        return list(dict.fromkeys([*self.bands.names, *(field.name for field in self.carried)]))


def open_source(path: Path, contract: ModelContract, wanted: Wanted) -> Source:
    """Open a table and find its columns.

    Raises
    ------
    ConfigError
        If the bundle wants stamps, or a kept column has the name of one that is written.
    BadDataError
        If the table cannot be read, has no rows, or lacks a magnitude or what names its rows.
    """
    if contract.image_bands:
        raise ConfigError(
            f"{contract.name} reads stamps in {' '.join(contract.image_bands)}, and a table has"
            " none; measure tiles with it, photoz-run --model, or apply a bundle of magnitudes"
        )

    def fits(table: Table) -> bool:
        try:
            return bool(_band_columns(table, contract, wanted))
        except BadDataError:
            return False

    table = open_table(path, fits)
    bands = _band_columns(table, contract, wanted)
    if not len(table):
        raise BadDataError(f"{table.where}: it has no rows")
    names = [*_key(table, wanted.key), *wanted.keep]
    fields = [described(one, path.name) for one in table.single(list(dict.fromkeys(names)))]
    own = [*_fields(contract), MISSING]
    if taken := [one.name for one in fields if one.name in {mine.name for mine in own}]:
        raise ConfigError(f"keep {', '.join(taken)}: the output has a column of its own so called")
    return Source(table, bands, tuple(fields))


def output_schema(source: Source, contract: ModelContract) -> pa.Schema:
    """The columns that come out: those of the table, then the redshift."""
    return pa.schema([*source.carried, *_fields(contract)])


def output_rows(
    where: str,
    rows: pa.Table,
    arrow: pa.Schema,
    magnitudes_NB: NDArray[np.float32],
    prediction: Prediction,
    levels: Sequence[float],
) -> pa.Table:
    """A block of rows as it comes out; ``arrow`` is its schema, ``where`` the table's name.

    Raises
    ------
    BadDataError
        If a column holds what its type in the first file of a folder cannot hold.
    """
    values: dict[str, NDArray[Any]] = {
        **redshift_columns(prediction, levels),
        MISSING.name: np.isnan(magnitudes_NB).sum(axis=1),
    }
    arrays = []
    for one in arrow:
        if one.name in values:
            arrays.append(as_array(values[one.name], one.type))
        elif one.name in rows.column_names:
            arrays.append(_as_declared(where, rows[one.name], one))
        else:
            arrays.append(quantile_array(prediction.quantiles_NQ))
    return pa.Table.from_arrays(arrays, schema=arrow)


def _as_declared(where: str, values: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    try:
        return values.cast(field.type)
    except pa.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
        holds = f"{values.type} ({reason})"
        expected = f"{field.type}, as in its first file,"
        raise wrong_content(where, field.name, holds, expected) from error


def _band_columns(table: Table, contract: ModelContract, wanted: Wanted) -> BandColumns:
    return find_band_columns(table, contract.magnitude_bands, contract.i_epoch, wanted.bands)


def _fields(contract: ModelContract) -> list[pa.Field]:
    empty = np.zeros((0, len(contract.quantile_levels)), np.float32)
    none = np.zeros(0, np.float32)
    filled = redshift_columns(
        Prediction(none, empty, none, np.zeros(0, np.int32)), contract.quantile_levels
    )
    dictionary = dictionary_schema("photoz")
    levels = quantile_field(contract.quantile_levels)
    return [*(dictionary.field(name) for name in filled), MISSING, levels]


def _key(table: Table, named: Names) -> list[str]:
    """The columns that name a row: its identifier, its position, or both."""
    pair = position_columns(table, named) if named.ra or named.dec else position_pair(table, named)
    refuse_other_systems(table, pair or ())
    if named.id or pair is None or not table.missing(["ID"]):
        return [id_column(table, named), *(pair or ())]
    return list(pair)
