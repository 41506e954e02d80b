"""Reading the catalogue: those of the columns a validation uses that exist."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_models.documents import read_document
from photoz_models.errors import DocumentError
from photoz_run.errors import BadDataError, ConfigError, context
from photoz_run.records import TileOutcome, tile_group
from photoz_run.science.photometry import MISSING_MAGNITUDE
from photoz_run.science.selection import names_in, select
from photoz_run.validation.settings import DEFAULT_RED, ValidationSettings
from photoz_run.validation.tables import (
    Columns,
    as_floats,
    catalogue_files,
    column_names,
    read_columns,
)

POSITIONS = (
    ("RAJ2000", "DECJ2000"),
    ("RA", "DEC"),
    ("RAcen", "Deccen"),
    ("ra", "dec"),
    ("ALPHA_J2000", "DELTA_J2000"),
)
INTERVALS = ("Z_PHOT_LO95", "Z_PHOT_LO68", "Z_PHOT_HI68", "Z_PHOT_HI95")
QUANTILES = "Z_QUANTILES"
OPTIONAL = ("ID", "KIDS_TILE", "MAG_AUTO_CALIB", "PHOTOZ_FLAG", "MASK", *INTERVALS, QUANTILES)
COMPARISONS = ("Z_B", "zphot_ANNz2")
"""Redshifts of other methods in KiDS tables: compared whenever the catalogue has them."""
MAGNITUDES = tuple(
    f"MAG_GAAP_{band}" for band in ("u", "g", "r", "i", "i1", "i2", "Z", "Y", "J", "H", "Ks")
)
SEEING = ("PSF_FWHM", "PSF_FWHM_r", "FWHM_IMAGE_r")
"""Columns that tell the seeing of a source's tile, arcsec; the first one that exists is used."""


@dataclass(frozen=True)
class Catalogue:
    """Sources with photo-z."""

    path: Path
    columns: Columns
    """RA, DEC (deg) and Z_PHOT have these names, whatever the file calls them."""
    compare: tuple[str, ...]
    """Other redshift columns."""
    levels_Q: NDArray[np.float64]
    """The probabilities of the column Z_QUANTILES; empty where there is none."""
    rows: int
    """Rows of the file, before ``select`` and before repeated IDs were taken out."""
    repeated: int
    """Rows whose ID is that of another row."""

    def __len__(self) -> int:
        return len(self.columns["Z_PHOT"])

    @property
    def ra_N(self) -> NDArray[np.float64]:
        """Right ascension, deg."""
        return self.columns["RA"]

    @property
    def dec_N(self) -> NDArray[np.float64]:
        """Declination, deg."""
        return self.columns["DEC"]


def read_catalogue(path: Path, settings: ValidationSettings) -> tuple[Catalogue, Columns]:
    """Read a run directory, a release or a table.

    Returns
    -------
    The catalogue, each ID once (its first row), and the columns of all rows with a repeated ID:
    sources that were measured in two tiles.

    Raises
    ------
    ConfigError
        If the position or the redshift column is missing, or an expression uses a column that is.
    BadDataError
        If no row has a redshift.
    """
    files = catalogue_files(path)
    present = column_names(files[0])
    ra, dec = _positions(path, present)
    wanted = _wanted(present, settings)
    with context(str(path)):
        columns = read_columns(files, [ra, dec, settings.z_phot, *wanted])
    if not any(name in columns for name in SEEING) and "KIDS_TILE" in columns:
        columns |= seeing_of_tiles(path, columns["KIDS_TILE"])
    n = len(columns[ra])
    z = as_floats(path, columns, settings.z_phot)
    columns |= {name: as_floats(path, columns, name) for name in _numbers(columns, settings)}
    columns |= {
        name: without_codes(columns[name].astype(np.float64))
        for name in MAGNITUDES
        if name in columns
    }
    # No redshift can be -1 or less: other programs write -1 or -99 for a failure.
    columns |= {"RA": columns[ra], "DEC": columns[dec], "Z_PHOT": np.where(z > -1, z, np.nan)}
    if not np.isfinite(columns["Z_PHOT"]).any():
        raise BadDataError(
            f"{path}: all {n} values of {settings.z_phot!r} are null: there is nothing to validate"
        )
    if settings.select:
        with context(f"{path}: select"):
            columns = take(columns, select(settings.select, columns, n))
        if not np.isfinite(columns["Z_PHOT"]).any():
            raise BadDataError(
                f"{path}: no row with a redshift satisfies select = {settings.select!r}"
            )
    columns, repeats = _each_once(columns)
    compare = dict.fromkeys([*settings.compare, *COMPARISONS])
    catalogue = Catalogue(
        path=path,
        columns=columns,
        compare=tuple(name for name in compare if name in columns),
        levels_Q=_levels(files[0], present),
        rows=n,
        repeated=len(repeats.get("ID", ())),
    )
    return catalogue, repeats


def seeing_of_tiles(run: Path, tile_N: NDArray[np.str_]) -> dict[str, NDArray[np.float64]]:
    """Column PSF_FWHM: the seeing (arcsec) in r that a run recorded for each tile.

    Empty if it recorded none.
    """
    names, place_N = np.unique(tile_N, return_inverse=True)
    seeing_T = np.array([_recorded_seeing(run, name) for name in names])
    return {"PSF_FWHM": seeing_T[place_N]} if np.isfinite(seeing_T).any() else {}


def _recorded_seeing(run: Path, tile: str) -> float:
    outcome = run / "tiles" / tile_group(tile) / f"{tile}.json"
    try:
        return read_document(TileOutcome, outcome).seeing.get("r", np.nan)
    except DocumentError:
        return np.nan


def take(columns: Columns, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The given rows (a mask or indices) of every column."""
    return {name: values[rows] for name, values in columns.items()}


def without_codes(magnitude_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Magnitudes with NaN for the codes 99 (not detected) and -99 (failed)."""
    return np.where(np.abs(magnitude_N) < MISSING_MAGNITUDE, magnitude_N, np.nan)


def _numbers(columns: Columns, settings: ValidationSettings) -> list[str]:
    """Columns that a setting uses as numbers."""
    names = [*settings.compare, *(name for name in COMPARISONS if name in columns)]
    if settings.weight:
        names.append(settings.weight)
    return names


def _positions(path: Path, present: list[str]) -> tuple[str, str]:
    for ra, dec in POSITIONS:
        if ra in present and dec in present:
            return ra, dec
    known = ", ".join(f"{ra}/{dec}" for ra, dec in POSITIONS)
    raise ConfigError(f"{path}: no position columns ({known}); it has {', '.join(present)}")


def _wanted(present: list[str], settings: ValidationSettings) -> list[str]:
    """Columns that must exist because a setting names them, and the optional ones that do."""
    named = list(settings.compare)
    if settings.weight:
        named.append(settings.weight)
    if settings.select:
        named += names_in(settings.select)
    if settings.red != DEFAULT_RED:
        own = ("Z_SPEC", "Z_PHOT", "RA", "DEC")
        named += [name for name in names_in(settings.red) if name not in own]
    optional = (*OPTIONAL, *COMPARISONS, *MAGNITUDES, *SEEING, *names_in(settings.red))
    return [*named, *(name for name in optional if name in present)]


def _each_once(columns: dict[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], Columns]:
    """Take repeated IDs out; give what was left and every row of a repeated ID."""
    if "ID" not in columns:
        return columns, {}
    code = pa.array(columns["ID"]).dictionary_encode().indices.to_numpy()
    count = np.bincount(code)
    if len(count) == len(code):
        return columns, {}
    _, first = np.unique(code, return_index=True)
    return take(columns, np.sort(first)), take(columns, count[code] > 1)


def _levels(path: Path, present: list[str]) -> NDArray[np.float64]:
    """The probabilities of the quantile column, from the metadata of its Parquet field."""
    if QUANTILES not in present or path.suffix != ".parquet":
        return np.empty(0)
    metadata = pq.ParquetFile(path).schema_arrow.field(QUANTILES).metadata or {}
    text = metadata.get(b"levels", b"").decode().strip("[]() ")
    return np.array([float(part) for part in text.replace(",", " ").split()])
