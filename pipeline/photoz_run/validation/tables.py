"""The catalogue that is validated as one table: a file, a run directory, a release, a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.errors import BadDataError, ConfigError
from photoz_run.tables.folders import parquet_files, refuse_versions
from photoz_run.tables.names import split_name
from photoz_run.tables.opening import Needed, open_table, open_together
from photoz_run.tables.table import Table

Columns = Mapping[str, NDArray[Any]]

BUNDLE = ".onnx"
TILES = "tiles"
"""The folder of a run that holds its rows."""
PROVENANCE = "provenance.json"
"""The file by which a release is known."""


def open_catalogue(path: Path, needed: Needed = ()) -> Table:
    """The table of a catalogue: of a run directory its finished tiles, of a release its rows once.

    Raises
    ------
    ConfigError
        If there is nothing there, or a table cannot be used.
    """
    file, _ = split_name(path)
    if not file.exists():
        raise ConfigError(f"{path}: no such file or directory")
    if file.suffix == BUNDLE:
        raise ConfigError(
            f"{path}: a model bundle is no catalogue; measure the tiles with it (photoz-run --model"
            f" {file.name}) and give the run"
        )
    try:
        if (path / TILES).is_dir() or (path / PROVENANCE).is_file():
            return open_together(path, catalogue_files(path))
        return open_table(path, needed)
    except BadDataError as error:
        raise ConfigError(str(error)) from error


def catalogue_files(folder: Path) -> list[Path]:
    """The files that hold the rows of a run or a release, each row once.

    Raises
    ------
    ConfigError
        If there is none.
    BadDataError
        If the files hold earlier versions of rows, too.
    """
    refuse_versions(folder)
    tiles = folder / TILES
    if tiles.is_dir():
        # A tile without its outcome was not finished.
        parts = sorted(tiles.rglob("*.parquet"))
        files = [file for file in parts if file.with_suffix(".json").exists()]
    else:
        files = _rows_of_release(folder)
    if not files:
        raise ConfigError(f"{folder}: no finished tile and no table in it")
    return files


def matrix(values: pa.ChunkedArray) -> NDArray[np.float64]:
    """Rows of a list column; a missing list, or one of another length than most, is NaN."""
    rows = values.combine_chunks()
    lengths = rows.value_lengths() if not pa.types.is_fixed_size_list(rows.type) else None
    if lengths is None:
        width = rows.type.list_size
        flat = np.array(rows.values.to_numpy(zero_copy_only=False), np.float64).reshape(-1, width)
        filled = flat[rows.offset : rows.offset + len(rows)]
        filled[rows.is_null().to_numpy(zero_copy_only=False)] = np.nan
        return filled
    width = int(np.nanmax(lengths.to_numpy(zero_copy_only=False), initial=0))
    filled = np.full((len(rows), width), np.nan)
    whole = np.asarray(lengths.fill_null(-1).to_numpy(zero_copy_only=False)) == width
    flat = rows.filter(pa.array(whole)).flatten().to_numpy(zero_copy_only=False)
    filled[whole] = np.asarray(flat, np.float64).reshape(-1, width)
    return filled


def _rows_of_release(folder: Path) -> list[Path]:
    """A release has its rows in one Parquet file or a folder of them, and again in FITS and HATS.

    A release that updates another lists the sources that differ beside them. In releases of 0.1.0
    the folder is called ``NAME.parquet``.
    """
    files = [file for file in sorted(folder.glob("*.parquet")) if file.is_file()]
    whole = [file for file in files if not file.name.endswith("_changes.parquet")]
    parts = whole or sorted(folder.glob("*[._]parquet/*.parquet"))
    visible = [file for file in parts if not file.name.startswith(("_", "."))]
    return visible or parquet_files(folder)
