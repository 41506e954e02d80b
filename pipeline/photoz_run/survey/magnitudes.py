"""Magnitudes from an external table (Parquet or FITS), joined to the sources of a tile by ID or by position."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from photoz_run import flags
from photoz_run.errors import BadDataError
from photoz_run.reading import cfitsio_name, explained
from photoz_run.records import Sources
from photoz_run.science.matching import match_positions
from photoz_run.survey.catalogues import (
    MagnitudeSuffixes,
    gaap_magnitudes,
    magnitude_flags,
    native,
    table_hdu,
)


@dataclass(frozen=True)
class MagnitudeTable:
    """An external magnitude table and how its rows find their sources: ``by`` is ``id`` or ``position``."""

    path: Path
    by: str
    radius: float
    """arcsec"""


def join_magnitudes(
    sources: Sources, table: MagnitudeTable, suffixes: MagnitudeSuffixes, bands: Sequence[str]
) -> tuple[Sources, dict[str, int]]:
    """Sources with the magnitudes of ``table``, and how many were matched, unmatched and ambiguous.

    A source with several candidate rows takes the nearest (by position) or the first (by ID) and is flagged.

    Raises
    ------
    BadDataError
        If the table cannot be read or lacks a column.
    """
    columns = [f"MAG_GAAP_{s}" for group in suffixes.values() for s in group]
    key = ["ID"] if table.by == "id" else ["RAJ2000", "DECJ2000"]
    rows = _read_near(
        table,
        [*key, *columns],
        [f"FLAG_GAAP_{s}" for group in suffixes.values() for s in group],
        sources,
    )
    if table.by == "id":
        index_N, candidates_N = _match_ids(sources.id_N, rows["ID"])
    else:
        match = match_positions(
            sources.ra_N, sources.dec_N, rows["RAJ2000"], rows["DECJ2000"], table.radius
        )
        index_N, candidates_N = match.index_N, match.candidates_N
    found_N = index_N >= 0
    magnitudes_NB = np.full((len(sources), len(bands)), np.nan, np.float32)
    if found_N.any():
        magnitudes_NB[found_N] = gaap_magnitudes(rows, suffixes)[index_N[found_N]]
    flags_N = magnitude_flags(magnitudes_NB, bands)
    flags_N |= flags.mark(~found_N, "MAG_UNMATCHED")
    flags_N |= flags.mark(candidates_N > 1, "MAG_AMBIGUOUS")
    counts = {
        "magnitudes_matched": int(found_N.sum()),
        "magnitudes_unmatched": int((~found_N).sum()),
        "magnitudes_ambiguous": int((candidates_N > 1).sum()),
    }
    return replace(sources, magnitudes_NB=magnitudes_NB, flags_N=flags_N), counts


def _match_ids(
    id_N: NDArray[np.str_], id_M: NDArray[np.str_]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    names, first_M, count_M = np.unique(id_M, return_index=True, return_counts=True)
    if len(names) == 0:
        return np.full(len(id_N), -1, np.int64), np.zeros(len(id_N), np.int32)
    place_N = np.minimum(np.searchsorted(names, id_N), len(names) - 1)
    found_N = names[place_N] == id_N
    return np.where(found_N, first_M[place_N], -1), np.where(found_N, count_M[place_N], 0).astype(
        np.int32
    )


def _read_near(
    table: MagnitudeTable, needed: Sequence[str], optional: Sequence[str], sources: Sources
) -> dict[str, NDArray[Any]]:
    """The rows of the table that can belong to the sources: same ID, or the tile's range of declination."""
    reader = (
        _read_parquet if ".parquet" in table.path.suffixes or table.path.is_dir() else _read_fits
    )
    with explained(table.path):
        rows = reader(table, needed, optional, sources)
    rows |= {
        name: np.zeros(len(rows[needed[0]]), np.int32) for name in optional if name not in rows
    }
    return rows


def _read_parquet(
    table: MagnitudeTable, needed: Sequence[str], optional: Sequence[str], sources: Sources
) -> dict[str, NDArray[Any]]:
    try:
        data = ds.dataset(table.path)
    except pa.ArrowInvalid as error:
        raise BadDataError(f"{table.path}: not a readable Parquet table ({error})") from error
    columns = _columns(table.path, needed, optional, data.schema.names)
    if table.by == "id":
        wanted = pc.field("ID").isin(pa.array(sources.id_N.tolist(), data.schema.field("ID").type))
    else:
        low, high = _declinations(sources, table.radius)
        wanted = (pc.field("DECJ2000") >= low) & (pc.field("DECJ2000") <= high)
    rows = data.to_table(columns=columns, filter=wanted)
    return {
        name: rows[name].to_numpy() if name != "ID" else np.array(rows[name].to_pylist(), "U")
        for name in columns
    }


def _read_fits(
    table: MagnitudeTable, needed: Sequence[str], optional: Sequence[str], sources: Sources
) -> dict[str, NDArray[Any]]:
    with cfitsio_name(table.path) as name, fitsio.FITS(name) as hdus:
        hdu = table_hdu(table.path, hdus)
        columns = _columns(table.path, needed, optional, hdu.get_colnames())
        if table.by == "id":
            wanted = np.isin(native(hdu.read_column("ID")), sources.id_N)
        else:
            low, high = _declinations(sources, table.radius)
            dec_M = hdu.read_column("DECJ2000")
            wanted = (dec_M >= low) & (dec_M <= high)
        indices = np.flatnonzero(wanted)
        rows = (
            hdu.read(columns=columns, rows=indices)
            if len(indices)
            else np.zeros(0, hdu.get_rec_dtype()[0])
        )
    return {name: native(rows[name]) for name in columns}


def _columns(
    path: Path, needed: Sequence[str], optional: Sequence[str], present: Sequence[str]
) -> list[str]:
    if missing := [name for name in needed if name not in present]:
        raise BadDataError(
            f"{path}: no column {', '.join(missing)}; it has {', '.join(list(present)[:12])} ..."
        )
    return [*needed, *(name for name in optional if name in present)]


def _declinations(sources: Sources, radius: float) -> tuple[float, float]:
    margin = radius / 3600
    return float(sources.dec_N.min()) - margin, float(sources.dec_N.max()) + margin
