"""Reading the sources of a tile from its multi-band catalogue: needed columns only, selection applied."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from photoz_models.stamp_rule import MAGNITUDE_BANDS, StampRule
from photoz_run import flags
from photoz_run.errors import BadDataError
from photoz_run.reading import cfitsio_name, explained
from photoz_run.records import Sources, TileRef
from photoz_run.science.photometry import mean_magnitude, total_magnitude, valid_magnitudes
from photoz_run.science.selection import names_in, select
from photoz_run.survey.data_release import DataRelease, find_data_release

MagnitudeSuffixes = Mapping[str, tuple[str, ...]]
"""Magnitude band -> suffixes of its columns (two where two epochs of i are averaged)."""

IDENTITY = ("ID", "RAJ2000", "DECJ2000")
DERIVED = ("all", "bright", "masked", "MAG_AUTO_CALIB")
"""Names a selection may use that are computed here; every other name is a catalogue column."""


def magnitude_suffixes(
    data_release: str, bands: Sequence[str], i_images: Sequence[str]
) -> MagnitudeSuffixes:
    """The GAaP column suffixes of each band; in DR5 the i magnitudes are those of the i images used."""
    facts = find_data_release(data_release)
    return {
        band: tuple(dict.fromkeys(facts.magnitude_suffix(band, image) for image in i_images))
        if band == "i"
        else (band,)
        for band in bands
    }


def count_rows(path: Path) -> int:
    """Rows of a catalogue, from its header."""
    # astropy reads the header and no more; fitsio looks at each of the 250 columns, which takes six times as long.
    with explained(path), fits.open(path, memmap=True) as hdus:
        for hdu in hdus:
            if type(hdu) is fits.BinTableHDU:
                return int(hdu.header["NAXIS2"])
    raise BadDataError(f"{path}: no binary table in any HDU")


def column_names(path: Path) -> list[str]:
    """Names of a catalogue's columns, from its header."""
    with explained(path), cfitsio_name(path) as name, fitsio.FITS(name) as hdus:
        return list(table_hdu(path, hdus).get_colnames())


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
        Catalogue columns to carry to the output.
    with_magnitudes
        False if an external table supplies the magnitudes: they are NaN here, and need not be in the catalogue.

    Raises
    ------
    BadDataError
        If the catalogue is missing, unreadable, lacks a column, or holds duplicate IDs or positions off the sky.
    """
    if ref.catalogue is None:
        raise BadDataError("the tile has no catalogue (..._cat.fits)")
    facts = find_data_release(ref.data_release)
    suffixes = magnitude_suffixes(
        ref.data_release, rule.magnitude_bands if with_magnitudes else (), i_images
    )
    table = _read_columns(
        ref.catalogue, _wanted_columns(facts, rule, suffixes, i_images, selection, keep)
    )
    table["MAG_AUTO_CALIB"] = total_magnitude(table["MAG_AUTO"], dmag_r, table["EXTINCTION_r"])
    n = len(table["ID"])
    table["all"] = np.ones(n, bool)
    table["masked"] = (table["MASK"] & facts.mask_value()) != 0
    if "bright" in names_in(selection):
        bright_suffixes = magnitude_suffixes(ref.data_release, MAGNITUDE_BANDS, i_images)
        table["bright"] = _is_bright(table, gaap_magnitudes(table, bright_suffixes))
    chosen = np.flatnonzero(select(selection, table, n))
    table = {name: values[chosen] for name, values in table.items()}
    order = np.lexsort((table["RAJ2000"], table["DECJ2000"]))
    table = {name: values[order] for name, values in table.items()}
    _check_identity(ref.catalogue, table)
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
    )


def gaap_magnitudes(
    table: Mapping[str, NDArray[Any]], suffixes: MagnitudeSuffixes
) -> NDArray[np.float32]:
    """GAaP magnitudes [N, B] with NaN where missing; two epochs of a band are averaged in flux."""
    columns = []
    for band_suffixes in suffixes.values():
        epochs = [
            valid_magnitudes(table[f"MAG_GAAP_{s}"], table[f"FLAG_GAAP_{s}"]) for s in band_suffixes
        ]
        columns.append(epochs[0] if len(epochs) == 1 else mean_magnitude(*epochs))
    return _columns(columns, len(next(iter(table.values()))))


def magnitude_flags(magnitudes_NB: NDArray[np.float32], bands: Sequence[str]) -> NDArray[np.int32]:
    """The ``MAG_x_MISSING`` bits of each source."""
    flags_N = np.zeros(len(magnitudes_NB), np.int32)
    for b, band in enumerate(bands):
        flags_N |= flags.mark(np.isnan(magnitudes_NB[:, b]), f"MAG_{band.upper()}_MISSING")
    return flags_N


def _wanted_columns(
    facts: DataRelease,
    rule: StampRule,
    suffixes: MagnitudeSuffixes,
    i_images: Sequence[str],
    selection: str,
    keep: Sequence[str],
) -> tuple[list[str], list[str]]:
    """Columns that must be there, and columns that are read where they exist."""
    used = names_in(selection)
    gaap = dict(suffixes)
    optional = []
    needed = [
        *IDENTITY,
        "MAG_AUTO",
        "EXTINCTION_r",
        "MASK",
        *(f"EXTINCTION_{band}" for band in rule.image_bands),
    ]
    if "bright" in used:
        gaap |= magnitude_suffixes(facts.family, MAGNITUDE_BANDS, i_images)
        needed += ["CLASS_STAR", "SG2DPHOT"]
        optional.append("SG_FLAG")
    for band_suffixes in gaap.values():
        needed += [f"{kind}_GAAP_{s}" for s in band_suffixes for kind in ("MAG", "FLAG")]
    needed += [name for name in used if name not in DERIVED]
    return list(dict.fromkeys([*needed, *keep])), optional


def _read_columns(path: Path, wanted: tuple[list[str], list[str]]) -> dict[str, NDArray[Any]]:
    needed, optional = wanted
    with explained(path), cfitsio_name(path) as name, fitsio.FITS(name) as hdus:
        hdu = table_hdu(path, hdus)
        present = hdu.get_colnames()
        if missing := [name for name in needed if name not in present]:
            raise BadDataError(
                f"{path}: HDU {hdu.get_extnum()} has no column {', '.join(missing)}; it has {len(present)} columns,"
                f" {', '.join(present[:6])} ..."
            )
        columns = needed + [name for name in optional if name in present]
        if hdu.get_nrows() == 0:
            rows = np.zeros(0, hdu.get_rec_dtype(colnums=[present.index(c) for c in columns])[0])
        else:
            rows = hdu.read(columns=columns)
    return {name: native(rows[name]) for name in columns}


def table_hdu(path: Path, hdus: Any) -> Any:
    """The first binary table of an opened file; `BadDataError` if there is none."""
    for hdu in hdus:
        if isinstance(hdu, fitsio.hdu.TableHDU):
            return hdu
    raise BadDataError(f"{path}: no binary table in any HDU")


def native(values: NDArray[Any]) -> NDArray[Any]:
    """A FITS column as numpy computes with it: native byte order, text decoded and without trailing blanks."""
    if values.dtype.kind in "SU":
        # Some versions of fitsio decode, others do not.
        return np.char.rstrip(
            values if values.dtype.kind == "U" else np.char.decode(values, "ascii")
        )
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def _is_bright(
    table: Mapping[str, NDArray[Any]], magnitudes_NB: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """The KiDS-Bright sample: MAG_AUTO_CALIB < 20, nine valid magnitudes, a galaxy by both classifiers."""
    galaxy = (table["CLASS_STAR"] < 0.5) & (table["SG2DPHOT"] == 0)
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


def _check_identity(path: Path, table: Mapping[str, NDArray[Any]]) -> None:
    ra_N, dec_N = table["RAJ2000"], table["DECJ2000"]
    with np.errstate(invalid="ignore"):
        off_sky = ~((ra_N >= 0) & (ra_N <= 360) & (np.abs(dec_N) <= 90))
    if off_sky.any():
        raise BadDataError(
            f"{path}: {off_sky.sum()} of {len(ra_N)} positions are not on the sky (RAJ2000, DECJ2000 in deg)"
        )
    names, counts = np.unique(table["ID"], return_counts=True)
    if (counts > 1).any():
        first = names[counts > 1][0]
        raise BadDataError(
            f"{path}: IDs that stand more than once: {(counts > 1).sum()}, the first is '{first}'"
        )
