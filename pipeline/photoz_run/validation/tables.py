"""Reading the tables that a validation compares: Parquet or FITS files, directories of Parquet."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_run.errors import BadDataError, ConfigError

Columns = Mapping[str, NDArray[Any]]

FITS_SUFFIXES = (".fits", ".fit", ".fits.gz", ".fits.fz")


def catalogue_files(path: Path) -> list[Path]:
    """The files of a catalogue: itself, finished tiles of a run, or a directory's Parquet files."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigError(f"{path}: no such file or directory")
    tiles = path / "tiles"
    if tiles.is_dir():
        # A tile without its outcome was not finished.
        files = sorted(
            file for file in tiles.rglob("*.parquet") if file.with_suffix(".json").exists()
        )
    else:
        # A release has its rows in the parts of one data set, and perhaps again in partitions.
        whole = [file for file in sorted(path.glob("*.parquet")) if file.is_file()]
        found = whole or sorted(path.glob("*.parquet/*.parquet")) or sorted(path.rglob("*.parquet"))
        files = [file for file in found if not file.name.startswith(("_", "."))]
    if not files:
        raise ConfigError(f"{path}: no finished tile and no Parquet file in it")
    return files


def column_names(path: Path) -> list[str]:
    """The columns of one table file."""
    if _is_fits(path):
        with _open_fits(path) as fits:
            return list(_table_hdu(path, fits).get_colnames())
    return list(_parquet(path).schema_arrow.names)


def read_columns(files: Iterable[Path], names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Columns of several tables with the same layout, one after the other.

    Nulls of numbers become NaN (integers with nulls become float64), those of strings "".
    A list column of constant length becomes a two-dimensional array.

    Raises
    ------
    ConfigError
        If a table lacks a column; the message says which it has.
    BadDataError
        If a file cannot be read.
    """
    wanted = list(dict.fromkeys(names))
    parts = [_read_one(path, wanted) for path in files]
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted}


def _read_one(path: Path, names: list[str]) -> dict[str, NDArray[Any]]:
    present = column_names(path)
    for name in names:
        if name not in present:
            raise ConfigError(f"{path}: no column {name!r}; it has {', '.join(present)}")
    if _is_fits(path):
        with _open_fits(path) as fits:
            table = _table_hdu(path, fits)
            data = table.read(columns=names)
            return {name: _native(data[name], table, name) for name in names}
    try:
        table = _parquet(path).read(columns=names)
    except (OSError, pa.ArrowException) as error:
        raise BadDataError(f"{path}: cannot be read: {error}") from error
    return {name: _from_arrow(table[name]) for name in names}


def _from_arrow(column: pa.ChunkedArray) -> NDArray[Any]:
    array = column.combine_chunks()
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _list_column(array)
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return np.asarray(array.fill_null("").to_numpy(zero_copy_only=False), dtype=object)
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _list_column(array: pa.Array) -> NDArray[np.float64]:
    """Rows of a list column as a matrix; null lists and those of another length become NaN."""
    if pa.types.is_fixed_size_list(array.type):
        values = np.array(array.values.to_numpy(zero_copy_only=False), np.float64).reshape(
            -1, array.type.list_size
        )
        matrix = values[array.offset : array.offset + len(array)]
        matrix[array.is_null().to_numpy(zero_copy_only=False)] = np.nan
        return matrix
    rows = array.to_pylist()
    width = next((len(row) for row in rows if row is not None), 0)
    empty = [np.nan] * width
    return np.array(
        [row if row is not None and len(row) == width else empty for row in rows], np.float64
    )


def _native(data: NDArray[Any], table: Any, name: str) -> NDArray[Any]:
    """A FITS column in native byte order: TNULL as NaN, strings without padding."""
    if data.dtype.kind in "SU":
        return np.array([text.strip() for text in data.astype(str)], dtype=object)
    native = data.astype(data.dtype.newbyteorder("="))
    header = table.read_header()
    null = header.get(f"TNULL{table.get_colnames().index(name) + 1}")
    if null is not None and native.dtype.kind in "iu":
        return np.where(native == null, np.nan, native)
    return native


def as_floats(path: Path, columns: Columns, name: str) -> NDArray[np.float64]:
    """One column as float64; `BadDataError` if it does not hold numbers."""
    if columns[name].dtype.kind not in "fiub":
        raise BadDataError(f"{path}: column {name!r} is not numeric")
    return columns[name].astype(np.float64)


def _is_fits(path: Path) -> bool:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    name = path.name.lower()
    if name.endswith(FITS_SUFFIXES):
        return True
    if name.endswith((".parquet", ".pq")):
        return False
    raise ConfigError(f"{path}: neither a Parquet nor a FITS table by its name")


def _open_fits(path: Path) -> Any:
    try:
        return fitsio.FITS(str(path))
    except OSError as error:
        raise BadDataError(
            f"{path}: cannot be read as FITS: {str(error).splitlines()[0]}"
        ) from error


def _table_hdu(path: Path, fits: Any) -> Any:
    for hdu in fits:
        if hdu.get_exttype() in ("BINARY_TBL", "ASCII_TBL"):
            return hdu
    raise BadDataError(f"{path}: no table in it")


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise BadDataError(f"{path}: cannot be read as Parquet: {error}") from error
