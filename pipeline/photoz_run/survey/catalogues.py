"""The sources of a tile from its multi-band catalogue: needed columns, selection applied."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_models.stamp_rule import MAGNITUDE_BANDS, StampRule
from photoz_run import flags
from photoz_run.errors import BadDataError, ConfigError
from photoz_run.records import Sources, TileRef
from photoz_run.science.photometry import mean_magnitude, total_magnitude, valid_magnitudes
from photoz_run.science.selection import names_in, select
from photoz_run.survey.catalogue_checks import check_content, check_rows
from photoz_run.survey.data_release import DataRelease, find_data_release
from photoz_run.tables.arrays import integers, masked, reals
from photoz_run.tables.fits_tables import FitsTable
from photoz_run.tables.keys import ids
from photoz_run.tables.opening import open_table, open_tables
from photoz_run.tables.systems import refuse_other_systems
from photoz_run.tables.table import Table
from photoz_run.tables.units import refuse_other_than_degrees, refuse_other_than_magnitudes

MagnitudeSuffixes = Mapping[str, tuple[str, ...]]
"""Magnitude band -> suffixes of its columns (two where two epochs of i are averaged)."""

IDENTITY = ("ID", "RAJ2000", "DECJ2000")
QUANTITIES = ("RAJ2000", "DECJ2000", "MAG_AUTO", "CLASS_STAR", "SG_FLAG")
IN_MAGNITUDES = ("MAG_AUTO", "MAG_GAAP_", "EXTINCTION_")
"""How the names of columns in mag begin."""
WHOLE = ("MASK", "SG2DPHOT")
PART = 2000
"""Rows that are read at once where few of many are wanted."""
DERIVED = ("all", "bright", "masked", "MAG_AUTO_CALIB")
"""Names a selection may use that are computed here; every other name is a catalogue column."""


def magnitude_suffixes(
    data_release: str, bands: Sequence[str], i_images: Sequence[str]
) -> MagnitudeSuffixes:
    """The suffixes of GAaP columns by band; in DR5 those of i are of the i images used."""
    facts = find_data_release(data_release)
    return {
        band: tuple(dict.fromkeys(facts.magnitude_suffix(band, image) for image in i_images))
        if band == "i"
        else (band,)
        for band in bands
    }


def count_rows(path: Path) -> int:
    """Rows of a catalogue, from its header.

    The columns of a FITS file with one table are not looked at: that takes longer than all else
    that is done with an empty tile.
    """
    tables = open_tables(path)
    if len(tables) == 1 and isinstance(tables[0], FitsTable):
        tables[0].check_length()
        return len(tables[0])
    return len(open_table(path, IDENTITY))


def column_names(path: Path) -> list[str]:
    """Names of a catalogue's columns, from its header."""
    return open_table(path, IDENTITY).names


def check_names(path: Path, setting: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Refuse a name in a setting that a catalogue does not know: `ConfigError` with near ones."""
    for name in names:
        if name in known:
            continue
        close = get_close_matches(name, known, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ConfigError(f"{setting}: {path.name} has no column {name!r}{hint}")


def check_selection(path: Path, selection: str) -> None:
    """Refuse an expression that cannot be evaluated over the columns of a catalogue.

    Raises
    ------
    ConfigError
        If it cannot, whatever the rows.
    BadDataError
        If the catalogue cannot be read, or lacks a column.
    """
    table = open_table(path, IDENTITY)
    names = [name for name in names_in(selection) if name not in DERIVED]
    rows = pa.schema(table.single(names)).empty_table()
    columns: dict[str, NDArray[Any]] = {name: _values(table.where, rows, name) for name in names}
    columns |= {name: np.zeros(0, bool) for name in ("all", "bright", "masked")}
    select(selection, columns | {"MAG_AUTO_CALIB": np.zeros(0)}, 0)


def source_ids(ref: TileRef) -> NDArray[np.str_]:
    """The IDs in a tile's catalogue, in its order; none if it has no catalogue."""
    if ref.catalogue is None:
        return np.zeros(0, np.str_)
    table = open_table(ref.catalogue, IDENTITY)
    return ids(table.where, table.read(["ID"]), "ID")


def read_sources(
    ref: TileRef,
    rule: StampRule,
    i_images: Sequence[str],
    dmag_r: float,
    selection: str,
    keep: Sequence[str] = (),
    with_magnitudes: bool = True,
) -> Sources:
    """The selected sources of a tile in output order, sorted by declination, then right ascension.

    Parameters
    ----------
    ref, rule
        The tile, and what the model demands.
    i_images
        The i images whose magnitudes are read (``i``, ``i2``).
    dmag_r
        DMAG of the r coadd (mag), for MAG_AUTO_CALIB.
    selection
        ``all``, ``bright`` or an expression (`photoz_run.science.selection`).
    keep
        Catalogue columns to carry to the output; names of `DERIVED` will do, too.
    with_magnitudes
        False if an external table supplies the magnitudes: they are NaN here, and need not be in
        the catalogue.

    Raises
    ------
    BadDataError
        If the catalogue is missing, unreadable, lacks a column, or contradicts itself
        (`photoz_run.survey.catalogue_checks`).
    """
    if ref.catalogue is None:
        raise BadDataError("the tile has no catalogue (..._cat.fits)")
    facts = find_data_release(ref.data_release)
    suffixes = magnitude_suffixes(
        ref.data_release, rule.magnitude_bands if with_magnitudes else (), i_images
    )
    used = (*names_in(selection), *keep)
    wanted = _wanted_columns(facts, rule.image_bands, suffixes, i_images, used)
    table, remarks = _read_columns(ref.catalogue, wanted)
    check_rows(ref.catalogue, table)
    remarks += check_content(table, suffixes, facts)
    table |= _derived(table, facts, i_images, dmag_r, used)
    chosen = _chosen(ref.catalogue, table, selection)
    table = {name: values[chosen] for name, values in table.items()}
    order = np.lexsort((table["RAJ2000"], table["DECJ2000"]))
    table = {name: values[order] for name, values in table.items()}
    magnitudes_NB = (
        gaap_magnitudes(table, suffixes) if with_magnitudes else _no_magnitudes(len(order), rule)
    )
    return Sources(
        id_N=table["ID"],
        ra_N=table["RAJ2000"].astype(np.float64),
        dec_N=table["DECJ2000"].astype(np.float64),
        magnitudes_NB=magnitudes_NB,
        extinction_NC=_columns(
            [table[f"EXTINCTION_{band}"] for band in rule.image_bands], len(order)
        ),
        flags_N=magnitude_flags(magnitudes_NB, rule.magnitude_bands),
        columns={name: table[name] for name in ("MAG_AUTO_CALIB", "MASK", *keep)},
        remarks=tuple(remarks),
    )


def selected_positions(
    ref: TileRef, i_images: Sequence[str], dmag_r: float, selection: str, most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Right ascension and declination (deg) of the sources that `read_sources` would select.

    The catalogue is read in parts, and no more of it is kept. ``None`` if they are more than
    ``most``.

    Raises
    ------
    BadDataError
        If the catalogue is missing, unreadable or lacks a column.
    """
    if ref.catalogue is None:
        raise BadDataError("the tile has no catalogue (..._cat.fits)")
    facts = find_data_release(ref.data_release)
    used = names_in(selection)
    needed, optional = _wanted_columns(facts, (), {}, i_images, used)
    table = open_table(ref.catalogue, needed)
    names = [*needed, *(name for name in optional if name in table.names)]
    _check_units(table, names)
    names.remove("ID")
    ra_N, dec_N = np.zeros(0), np.zeros(0)
    for rows in table.batches(names, rows=PART):
        part = {name: _values(table.where, rows, name) for name in names}
        part |= _derived(part, facts, i_images, dmag_r, used)
        chosen = _chosen(ref.catalogue, part, selection)
        ra_N = np.append(ra_N, part["RAJ2000"][chosen])
        dec_N = np.append(dec_N, part["DECJ2000"][chosen])
        if len(ra_N) > most:
            return None
    return ra_N, dec_N


def _derived(
    table: Mapping[str, NDArray[Any]],
    facts: DataRelease,
    i_images: Sequence[str],
    dmag_r: float,
    used: Sequence[str],
) -> dict[str, NDArray[Any]]:
    """The columns of `DERIVED`, ``bright`` only where it is used."""
    derived = {
        "MAG_AUTO_CALIB": total_magnitude(table["MAG_AUTO"], dmag_r, table["EXTINCTION_r"]),
        "all": np.ones(len(table["RAJ2000"]), bool),
        "masked": (table["MASK"] & facts.mask_value()) != 0,
    }
    if "bright" in used:
        suffixes = magnitude_suffixes(facts.family, MAGNITUDE_BANDS, i_images)
        derived["bright"] = _is_bright({**table, **derived}, gaap_magnitudes(table, suffixes))
    return derived


def _chosen(path: Path, table: Mapping[str, NDArray[Any]], selection: str) -> NDArray[np.intp]:
    """Which rows are selected."""
    try:
        return np.flatnonzero(select(selection, table, len(table["RAJ2000"])))
    except ConfigError as error:
        # The run has tried the expression on another catalogue (`check_selection`).
        raise BadDataError(f"{path}: {error}") from error


def gaap_magnitudes(
    table: Mapping[str, NDArray[Any]], suffixes: MagnitudeSuffixes
) -> NDArray[np.float32]:
    """GAaP magnitudes [N, B] with NaN where missing; two epochs of a band are averaged in flux."""
    columns = []
    for band_suffixes in suffixes.values():
        epochs = [
            valid_magnitudes(table[f"MAG_GAAP_{s}"], set_flags(table[f"FLAG_GAAP_{s}"]))
            for s in band_suffixes
        ]
        columns.append(epochs[0] if len(epochs) == 1 else mean_magnitude(*epochs))
    return _columns(columns, len(next(iter(table.values()))))


def set_flags(flag_N: NDArray[Any]) -> NDArray[np.integer]:
    """FLAG_GAAP with a missing one set: nobody said that the magnitude is good."""
    return np.asarray(np.ma.filled(flag_N, 1))


def magnitude_flags(magnitudes_NB: NDArray[np.float32], bands: Sequence[str]) -> NDArray[np.int32]:
    """The ``MAG_x_MISSING`` bits of each source; a band of another survey than KiDS has none."""
    flags_N = np.zeros(len(magnitudes_NB), np.int32)
    for b, band in enumerate(bands):
        name = f"MAG_{band.upper()}_MISSING"
        if band in MAGNITUDE_BANDS:
            flags_N |= flags.mark(np.isnan(magnitudes_NB[:, b]), name)
    return flags_N


def _wanted_columns(
    facts: DataRelease,
    image_bands: Sequence[str],
    suffixes: MagnitudeSuffixes,
    i_images: Sequence[str],
    used: Sequence[str],
) -> tuple[list[str], list[str]]:
    """Columns that must be there, and columns that are read where they exist.

    A selection and the output have ``used`` ones.
    """
    gaap = dict(suffixes)
    optional = []
    needed = [
        *IDENTITY,
        "MAG_AUTO",
        "EXTINCTION_r",
        "MASK",
        *(f"EXTINCTION_{band}" for band in image_bands),
    ]
    if "bright" in used:
        gaap |= magnitude_suffixes(facts.family, MAGNITUDE_BANDS, i_images)
        needed += ["CLASS_STAR", "SG2DPHOT"]
        optional.append("SG_FLAG")
    for band_suffixes in gaap.values():
        needed += [f"{kind}_GAAP_{s}" for s in band_suffixes for kind in ("MAG", "FLAG")]
    needed += [name for name in used if name not in DERIVED]
    return list(dict.fromkeys(needed)), optional


def _read_columns(
    path: Path, wanted: tuple[list[str], list[str]]
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Columns of all rows, and what is odd about the file."""
    needed, optional = wanted
    table = open_table(path, needed)
    names = [*needed, *(name for name in optional if name in table.names)]
    _check_units(table, names)
    rows = table.read(names)
    columns = {name: _values(table.where, rows, name) for name in names}
    if not isinstance(table, FitsTable):
        return columns, []
    remarks = table.check_sums()
    if odd := table.odd_bytes:
        remarks.append(f"the catalogue's file is {odd} bytes longer than whole FITS blocks")
    return columns, remarks


def _check_units(table: Table, names: Sequence[str]) -> None:
    """Refuse columns whose stated unit is not that of their name in KiDS: `BadDataError`."""
    refuse_other_than_degrees(table, IDENTITY[1:])
    refuse_other_systems(table, IDENTITY[1:])
    refuse_other_than_magnitudes(table, [name for name in names if name.startswith(IN_MAGNITUDES)])


def _values(where: str, rows: pa.Table, name: str) -> NDArray[Any]:
    """A column as it is used: IDs as text, quantities as floats with NaN, the rest with a mask."""
    if name == "ID":
        return ids(where, rows, name)
    if name in WHOLE or name.startswith("FLAG_GAAP_"):
        return integers(where, rows, name)
    if name in QUANTITIES or name.startswith(IN_MAGNITUDES):
        return reals(where, rows, name)
    return masked(where, rows, name)


def _is_bright(
    table: Mapping[str, NDArray[Any]], magnitudes_NB: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """The KiDS-Bright sample: MAG_AUTO_CALIB < 20, nine magnitudes, twice called a galaxy."""
    galaxy = (table["CLASS_STAR"] < 0.5) & np.ma.filled(table["SG2DPHOT"] == 0, False)
    if "SG_FLAG" in table:
        galaxy &= table["SG_FLAG"] == 1
    bright = table["MAG_AUTO_CALIB"] < 20
    return np.asarray(galaxy & bright & np.isfinite(magnitudes_NB).all(axis=1), bool)


def _columns(values: Sequence[NDArray[np.floating]], n: int) -> NDArray[np.float32]:
    """Columns of ``n`` rows side by side, [N, 0] if there is none."""
    columns_NK = np.empty((n, len(values)), np.float32)
    for k, value_N in enumerate(values):
        columns_NK[:, k] = value_N
    return columns_NK


def _no_magnitudes(n: int, rule: StampRule) -> NDArray[np.float32]:
    return np.full((n, len(rule.magnitude_bands)), np.nan, np.float32)
