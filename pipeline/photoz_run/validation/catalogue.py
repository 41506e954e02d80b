"""Reading the catalogue: those of the columns a validation uses that exist."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_models.documents import read_document
from photoz_models.errors import DocumentError
from photoz_run.errors import BadDataError, ConfigError, context
from photoz_run.records import TileOutcome, tile_group
from photoz_run.science.photometry import MISSING_MAGNITUDE, known_magnitudes
from photoz_run.science.selection import names_in, select
from photoz_run.tables import arrays
from photoz_run.tables.canonical import is_list, is_text
from photoz_run.tables.keys import Names, id_columns, id_texts, position_columns, positions
from photoz_run.tables.table import Table
from photoz_run.tables.text_hash import text_hashes
from photoz_run.tables.units import refuse_other_than_magnitudes, refuse_other_than_redshift
from photoz_run.validation.grouping import text_codes
from photoz_run.validation.inputs import tiles_of_run, with_inputs
from photoz_run.validation.settings import DEFAULT_RED, ValidationSettings
from photoz_run.validation.specz import HIGHEST, refuse_magnitudes
from photoz_run.validation.tables import Columns, matrix, open_catalogue

INTERVALS = ("Z_PHOT_LO95", "Z_PHOT_LO68", "Z_PHOT_HI68", "Z_PHOT_HI95")
QUANTILES = "Z_QUANTILES"
OPTIONAL = (
    "KIDS_TILE",
    "MAG_AUTO_CALIB",
    "PHOTOZ_FLAG",
    "MASK",
    "Z_PHOT_ERR",
    *INTERVALS,
    QUANTILES,
)
COMPARISONS = ("Z_B", "zphot_ANNz2")
"""Redshifts of other methods in KiDS tables: compared whenever the catalogue has them."""
MAGNITUDES = tuple(
    f"MAG_GAAP_{band}" for band in ("u", "g", "r", "i", "i1", "i2", "Z", "Y", "J", "H", "Ks")
)
SEEING = ("PSF_FWHM", "PSF_FWHM_r", "FWHM_IMAGE_r")
"""Columns that tell the seeing of a source's tile, arcsec; the first one that exists is used."""
SIZE = ("FLUX_RADIUS",)
"""Columns that tell the size of a source (pixels)."""
MANY = 500_000
"""Sources whose IDs are not read with their other columns: time and memory that no figure needs."""
MOST_ROWS = 20
"""An ID in more rows names no galaxy: no source is measured in so many tiles."""
LOWEST_PHOTOZ, HIGHEST_PHOTOZ = -1.0, 2 * HIGHEST
"""No photo-z is -1 or less, or this large: other programs write -1, -99 or 99 for a failure."""


@dataclass(frozen=True)
class Catalogue:
    """Sources with photo-z, each ID once; further columns are read when asked for."""

    path: Path
    ra_N: NDArray[np.float64]
    dec_N: NDArray[np.float64]
    """Degrees."""
    z_N: NDArray[np.float64]
    """Photo-z, NaN where there is none."""
    compare: tuple[str, ...]
    """Other redshift columns."""
    levels_Q: NDArray[np.float64]
    """The probabilities of the column Z_QUANTILES; empty where there is none."""
    rows: int
    """Rows of the file, before ``select`` and before repeated IDs were taken out."""
    repeated: int
    """Rows whose ID is that of another row."""
    table: Table = field(repr=False)
    row_N: NDArray[np.int32] = field(repr=False)
    """The row of each source in the table."""
    key: tuple[str, ...] = ()
    """The column of the ID; of `MANY` sources it is not read with the others."""
    further: tuple[str, ...] = ()
    """Columns that a validation uses, and the table has."""
    settings: ValidationSettings = field(repr=False, default_factory=ValidationSettings)
    lacks_inputs: str = ""
    """Why columns that a run did not carry cannot be read from its inputs; "" if they can."""
    fetched: tuple[str, ...] = ()
    """Columns that a run did not carry, and its inputs have."""
    left_out: tuple[NDArray[np.float64], NDArray[np.float64]] = field(
        repr=False, default=(np.empty(0), np.empty(0))
    )
    """Positions (deg) of rows that ``select`` leaves out."""

    def __len__(self) -> int:
        return len(self.z_N)

    @cached_property
    def columns(self) -> Columns:
        """All that a validation uses, of all sources."""
        return self.columns_of(np.arange(len(self)))

    def columns_of(
        self, index_K: NDArray[Any], names: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """All that a validation uses of some sources, in any order; or those of ``names``.

        RA, DEC (deg) and Z_PHOT have these names, whatever the file calls them.
        """
        present = [name for name in self.further if name not in self.key or len(index_K) < MANY]
        if names is not None:
            # The seeing is that of a tile.
            wanted = {*names, "KIDS_TILE"} if set(SEEING) & set(names) else set(names)
            present = [name for name in present if name in wanted]
        columns = _read_rows(self.table, present, self.row_N[index_K], self.settings)
        asked = names is None or any(name in names for name in SEEING)
        if asked and "KIDS_TILE" in columns and not any(name in columns for name in SEEING):
            seeing = seeing_of_tiles(self.path, columns["KIDS_TILE"])
            # Some sources may all lie in tiles without it, where others do not.
            unknown = {} if names is None else {SEEING[0]: np.full(len(index_K), np.nan)}
            columns |= seeing or unknown
        own = {"RA": self.ra_N, "DEC": self.dec_N, "Z_PHOT": self.z_N}
        # All sources in their order: the same arrays, 24 bytes a source.
        if len(index_K) == len(self) and not np.any(np.diff(index_K) != 1):
            return columns | own
        return columns | take(own, index_K)


def read_catalogue(path: Path, settings: ValidationSettings) -> tuple[Catalogue, Columns]:
    """Read a run directory, a release or a table of any kind.

    Returns
    -------
    The catalogue, each ID once (its first row), and the columns of all rows with a repeated ID:
    sources that were measured in two tiles. A row without an ID is a source of its own.

    Raises
    ------
    ConfigError
        If the position or the redshift column is missing, or an expression uses a column that is.
    BadDataError
        If no row has a redshift.
    """
    own = open_catalogue(path, [settings.z_phot])
    own_names = set(own.names)
    table, lacks_inputs = with_inputs(path, own, tiles_of_run(path))
    try:
        pair = position_columns(table, Names(settings.ra, settings.dec))
        further = _further(table, settings)
        key = id_columns(table, Names(id=settings.id))
        table.require([settings.z_phot, *further, *([settings.id] if settings.id else [])])
        refuse_other_than_redshift(table, settings.z_phot)
        refuse_other_than_magnitudes(table, own_names.intersection(further, MAGNITUDES))
    except BadDataError as error:
        # No tile is to blame: the table is the user's to mend.
        raise ConfigError(str(error)) from error
    ra_N, dec_N, z_N, hash_N, chosen_N = _read_all(table, pair, key, settings)
    _check_redshifts(path, settings, z_N, chosen_N)
    kept_N, repeated_N = _each_once(hash_N, chosen_N)
    compare = dict.fromkeys([*settings.compare, *COMPARISONS])
    catalogue = Catalogue(
        path=path,
        ra_N=_kept(ra_N, kept_N),
        dec_N=_kept(dec_N, kept_N),
        z_N=_kept(z_N, kept_N),
        compare=tuple(name for name in compare if name in further),
        levels_Q=_levels(table),
        rows=len(z_N),
        repeated=len(repeated_N),
        table=table,
        row_N=kept_N,
        key=tuple(key),
        further=tuple(dict.fromkeys([*key, *further])),
        settings=settings,
        lacks_inputs=lacks_inputs,
        fetched=tuple(name for name in further if name not in own_names),
        left_out=(ra_N[~chosen_N], dec_N[~chosen_N]),
    )
    return catalogue, _repeats(table, key, further, repeated_N, z_N, settings)


def take(columns: Columns, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """The given rows (a mask or indices) of every column."""
    return {name: values[rows] for name, values in columns.items()}


def _read_all(
    table: Table, pair: tuple[str, str], key: Sequence[str], settings: ValidationSettings
) -> tuple[NDArray[Any], ...]:
    """Position, photo-z, hash of the ID (0 without one) and selection of every row."""
    named = names_in(settings.select) if settings.select else []
    number = len(table)
    if not number:
        raise BadDataError(f"{table.where}: it has no rows")
    ra_N, dec_N, z_N = np.empty((3, number))
    hash_N, chosen_N = np.zeros(number, np.uint64), np.ones(number, bool)
    start = 0
    for rows in table.batches([*pair, settings.z_phot, *key, *named]):
        part = slice(start, start + len(rows))
        start = part.stop
        ra_N[part], dec_N[part] = positions(table, rows, pair)
        z_N[part] = _usable(table.where, rows, settings.z_phot)
        if key:
            hash_N[part] = text_hashes(id_texts(table.where, rows, key[0]))
        if settings.select:
            values = {name: arrays.masked(table.where, rows, name) for name in named}
            with context(f"{table.where}: select"):
                chosen_N[part] = select(settings.select, values, len(rows))
    return ra_N, dec_N, z_N, hash_N, chosen_N


def _usable(where: str, rows: pa.Table, name: str) -> NDArray[np.float64]:
    """Photo-z with NaN for codes; `BadDataError` if the column holds something else."""
    z_N = arrays.floats(where, rows, name)
    with np.errstate(invalid="ignore"):
        refuse_magnitudes(where, name, np.where(z_N > MISSING_MAGNITUDE, np.nan, z_N))
        usable_N = (z_N > LOWEST_PHOTOZ) & (z_N < HIGHEST_PHOTOZ)
    return np.where(usable_N, z_N, np.nan)


def _check_redshifts(
    path: Path, settings: ValidationSettings, z_N: NDArray[np.float64], chosen_N: NDArray[np.bool_]
) -> None:
    finite_N = np.isfinite(z_N)
    if not finite_N.any():
        raise BadDataError(
            f"{path}: all {len(z_N)} values of {settings.z_phot!r} are null: there is nothing to"
            " validate"
        )
    if not (finite_N & chosen_N).any():
        raise BadDataError(f"{path}: no row with a redshift satisfies select = {settings.select!r}")


def _each_once(
    hash_N: NDArray[np.uint64], chosen_N: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rows that are kept, each ID once, and all rows of a repeated ID."""
    row_N = np.flatnonzero(chosen_N).astype(np.int32)
    sorted_N = hash_N[row_N]
    sorted_N.sort()
    if not ((sorted_N[1:] == sorted_N[:-1]) & (sorted_N[1:] != 0)).any():
        return row_N, np.zeros(0, np.int32)
    common = _too_common(sorted_N)
    named_N = row_N[(hash_N[row_N] != 0) & ~np.isin(hash_N[row_N], common)]
    order = np.argsort(hash_N[named_N], kind="stable")
    sorted_N = hash_N[named_N][order]
    first = np.flatnonzero(sorted_N[1:] == sorted_N[:-1])
    repeated = named_N[order[np.union1d(first, first + 1)]]
    return np.setdiff1d(row_N, named_N[order[first + 1]]), np.sort(repeated)


def _too_common(sorted_N: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes that stand more than `MOST_ROWS` times: codes such as 0, -99 or "None"."""
    apart = MOST_ROWS
    return np.unique(sorted_N[apart:][sorted_N[apart:] == sorted_N[:-apart]])


def _kept(values_N: NDArray[np.float64], row_K: NDArray[np.int32]) -> NDArray[np.float64]:
    """Values of some rows; the same array where that is all of them."""
    return values_N if len(row_K) == len(values_N) else values_N[row_K]


def _repeats(
    table: Table,
    key: Sequence[str],
    further: Sequence[str],
    row_K: NDArray[np.integer],
    z_N: NDArray[np.float64],
    settings: ValidationSettings,
) -> Columns:
    """ID, photo-z and its intervals of the rows with a repeated ID."""
    if not len(row_K):
        return {}
    names = [*key, *(name for name in INTERVALS if name in further)]
    columns = _read_rows(table, names, row_K, settings)
    return columns | {"ID": columns.pop(key[0]), "Z_PHOT": z_N[row_K]}


def _read_rows(
    table: Table, names: Sequence[str], row_K: NDArray[np.integer], settings: ValidationSettings
) -> dict[str, NDArray[Any]]:
    """Columns of the rows ``row_K``, in their order."""
    if not names:
        return {}
    numbers = {*settings.compare, *COMPARISONS, settings.weight}
    if np.all(row_K[1:] >= row_K[:-1]):
        rows = table.take(names, row_K, lists=[QUANTILES], codes=True)
        columns = {}
        for name in names:
            columns[name] = _values(table.where, rows, name, numbers)
            # Of twenty million rows all columns twice would be two gigabytes.
            rows = rows.drop_columns([name])
            pa.default_memory_pool().release_unused()
        return columns
    order = np.argsort(row_K, kind="stable")
    columns = _read_rows(table, names, row_K[order], settings)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return {name: values[back] for name, values in columns.items()}


def _values(where: str, rows: pa.Table, name: str, numbers: set[str]) -> NDArray[Any]:
    """A column as it is used: numbers with NaN, integers with a mask, texts with ""."""
    kind = rows[name].type
    if is_list(kind):
        return matrix(rows[name])
    if name in MAGNITUDES:
        return known_magnitudes(arrays.floats(where, rows, name))
    if name in numbers or pa.types.is_null(kind):
        return arrays.floats(where, rows, name)
    if pa.types.is_floating(kind):
        return arrays.reals(where, rows, name)
    if is_text(kind):
        return _texts(rows[name])
    values = arrays.masked(where, rows, name)
    return values if rows[name].null_count and values.dtype.kind in "iub" else values.data


def _texts(codes: pa.ChunkedArray) -> NDArray[np.object_]:
    """Texts of a dictionary, "" where there is none; rows with the same text share it."""
    every = codes.combine_chunks()
    texts = np.array([*every.dictionary.to_pylist(), ""], object)
    return np.asarray(texts[every.indices.fill_null(len(texts) - 1).to_numpy()])


def seeing_of_tiles(run: Path, tile_N: NDArray[np.str_]) -> dict[str, NDArray[np.float64]]:
    """Column PSF_FWHM: the seeing (arcsec) in r that a run recorded for each tile.

    Empty if it recorded none.
    """
    names, place_N = text_codes(tile_N)
    seeing_T = np.array([_recorded_seeing(run, name) for name in names])
    return {"PSF_FWHM": seeing_T[place_N]} if np.isfinite(seeing_T).any() else {}


def _recorded_seeing(run: Path, tile: str) -> float:
    outcome = run / "tiles" / tile_group(tile) / f"{tile}.json"
    try:
        return read_document(TileOutcome, outcome).seeing.get("r", np.nan)
    except DocumentError:
        return np.nan


def _further(table: Table, settings: ValidationSettings) -> list[str]:
    """Columns that must exist because a setting names them, and the optional ones that do."""
    named = list(settings.compare)
    if settings.weight:
        named.append(settings.weight)
    if settings.select:
        named += names_in(settings.select)
    if settings.red != DEFAULT_RED:
        own = ("Z_SPEC", "Z_PHOT", "RA", "DEC")
        named += [name for name in names_in(settings.red) if name not in own]
    optional = (*OPTIONAL, *COMPARISONS, *MAGNITUDES, *SEEING, *SIZE, *names_in(settings.red))
    present = set(table.names)
    return list(dict.fromkeys([*named, *(name for name in optional if name in present)]))


def _levels(table: Table) -> NDArray[np.float64]:
    """The probabilities of the quantile column, from the metadata of its field."""
    if table.missing([QUANTILES]):
        return np.empty(0)
    (column,) = table.fields([QUANTILES])
    text = (column.metadata or {}).get(b"levels", b"").decode().strip("[]() ")
    return np.array([float(part) for part in text.replace(",", " ").split()])
