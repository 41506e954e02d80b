"""Runs, releases and other tables as Arrow, pandas or astropy, and their validation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from photoz_run.catalogue.arrow_fields import about
from photoz_run.errors import ConfigError
from photoz_run.tables.arrays import masked
from photoz_run.tables.canonical import is_list
from photoz_run.validation import validate as validation
from photoz_run.validation.pairs import Pairs
from photoz_run.validation.result import Result
from photoz_run.validation.settings import SpecSettings, ValidationSettings
from photoz_run.validation.tables import matrix, open_catalogue

if TYPE_CHECKING:
    import pandas
    from astropy.table import Table


def read_arrow(catalogue: str | Path, columns: Sequence[str] = ()) -> pa.Table:
    """Read a run, a release or a table of any kind: each row once, what is missing null.

    Parameters
    ----------
    catalogue
        Run directory (its finished tiles), release, folder of Parquet files, HATS, or a file.
    columns
        Those that are read; all of them if empty.

    Returns
    -------
    pyarrow.Table
        Its fields carry ``unit``, ``ucd`` and ``description`` where the catalogue has them.

    Raises
    ------
    ConfigError, BadDataError
        If there is nothing there, it cannot be read, or a column is not there.
    """
    if len(set(columns)) < len(columns):
        raise ConfigError(f"columns {', '.join(columns)}: ask for each once")
    table = open_catalogue(Path(catalogue), list(columns))
    names = list(columns) or table.names
    rows = table.read(names, lists=names)
    # Reading keeps the values; what the container says of its columns comes from their fields.
    told = [field.with_type(rows[field.name].type) for field in table.fields(names)]
    return rows.cast(pa.schema(told))


def read_pandas(catalogue: str | Path, columns: Sequence[str] = ()) -> "pandas.DataFrame":
    """As `read_arrow`, as a pandas DataFrame; integers with missing values stay integers.

    Raises
    ------
    ConfigError
        Also if pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ConfigError("read_pandas needs pandas: install it, or use read_arrow") from error
    whole = {
        pa.int8(): pandas.Int8Dtype(),
        pa.int16(): pandas.Int16Dtype(),
        pa.int32(): pandas.Int32Dtype(),
        pa.int64(): pandas.Int64Dtype(),
    }
    return read_arrow(catalogue, columns).to_pandas(types_mapper=whole.get)


def read_astropy(catalogue: str | Path, columns: Sequence[str] = ()) -> "Table":
    """As `read_arrow`, as an astropy Table with units and descriptions, what is missing masked.

    Quantiles become a column of shape (N, Q), NaN where there are none.
    """
    from astropy.table import Column, MaskedColumn, Table

    rows = read_arrow(catalogue, columns)
    table = Table()
    for told in rows.schema:
        meta = about(told)
        values = _values(str(catalogue), rows, told)
        kind = MaskedColumn if np.ma.isMaskedArray(values) else Column
        unit, description = meta.pop("unit", None), meta.pop("description", None)
        table[told.name] = kind(values, unit=unit, description=description, meta=meta)
    return table


def validate(
    catalogue: str | Path,
    specz: str | Path | Sequence[str | Path],
    settings: ValidationSettings | None = None,
) -> tuple[Result, Pairs]:
    """Compare the redshifts of a catalogue with spectroscopic ones, as `photoz validate` does.

    Parameters
    ----------
    catalogue
        As for `read_arrow`.
    specz
        One table of spec-z or several; columns and quality cuts are recognised.
    settings
        All else; the defaults are those of the command.

    Returns
    -------
    result : Result
        ``result.overall["smad"].value`` is a statistic, ``.low`` and ``.high`` its 68% interval.
    pairs : Pairs
        ``pairs.columns``: arrays by name, one row for each galaxy, with Z_PHOT and Z_SPEC.
    """
    files = [specz] if isinstance(specz, (str, Path)) else specz
    tables = tuple(SpecSettings(file=Path(file)) for file in files)
    chosen = (settings or ValidationSettings()).model_copy(update={"specz": tables})
    return validation.validate(Path(catalogue), chosen)


def _values(where: str, rows: pa.Table, told: pa.Field) -> Any:
    """A column as astropy has it, masked where values are missing; lists as rows of numbers."""
    if is_list(told.type):
        return matrix(rows[told.name])
    values = masked(where, rows, told.name)
    return values if rows[told.name].null_count else values.data
