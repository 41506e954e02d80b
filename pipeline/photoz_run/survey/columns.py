"""Further columns of a FITS table: what its header says of them, and their values with the missing ones masked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fitsio
import numpy as np

from photoz_run.errors import BadDataError
from photoz_run.reading import cfitsio_name, explained
from photoz_run.schema import Column
from photoz_run.survey.catalogues import native, table_hdu


def column_facts(
    path: Path, names: Sequence[str], table: str = "the input catalogue"
) -> dict[str, Column]:
    """Unit, UCD and description (TUNIT, TUCD, TCOMM) of columns, by name, from the header of the table.

    A column without a description is described as one of ``table``.

    Raises
    ------
    BadDataError
        If the file cannot be read, lacks a column, or has lists in it.
    """
    with explained(path), cfitsio_name(path) as name, fitsio.FITS(name) as hdus:
        hdu = table_hdu(path, hdus)
        header = hdu.read_header()
        numbers = _numbers(path, hdu.get_colnames(), names)
        kinds = hdu.get_rec_dtype()[0]
    if lists := [name for name in names if kinds[name].shape]:
        raise BadDataError(
            f"{path}: column {lists[0]} holds lists of {kinds[lists[0]].shape[0]}; leave it out"
        )
    return {
        name: Column(
            name,
            kinds[name].str[1:].replace("S", "U"),
            _text(header, f"TUNIT{number}"),
            _text(header, f"TUCD{number}"),
            True,
            _text(header, f"TCOMM{number}") or f"{name} of {table}",
        )
        for name, number in numbers.items()
    }


def read_values(
    path: Path, names: Sequence[str], start: int = 0, stop: int | None = None
) -> "dict[str, np.ma.MaskedArray[Any, Any]]":
    """Columns by name, rows ``start`` to ``stop``, in native byte order; NaN and the column's TNULL are masked.

    Raises
    ------
    BadDataError
        If the file cannot be read, or lacks a column.
    """
    with explained(path), cfitsio_name(path) as name, fitsio.FITS(name) as hdus:
        hdu = table_hdu(path, hdus)
        header = hdu.read_header()
        numbers = _numbers(path, hdu.get_colnames(), names)
        # fitsio refuses to read no rows.
        rows = (
            hdu[list(names)][start:stop] if hdu.get_nrows() else np.zeros(0, hdu.get_rec_dtype()[0])
        )
        values = {name: native(rows[name]) for name in names}
    return {
        name: _masked(values[name], header.get(f"TNULL{number}"))
        for name, number in numbers.items()
    }


def _numbers(path: Path, present: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    if missing := [name for name in names if name not in present]:
        raise BadDataError(
            f"{path}: no column {', '.join(missing)}; it has {', '.join(list(present)[:12])} ..."
        )
    return {name: list(present).index(name) + 1 for name in names}


def _text(header: Any, card: str) -> str:
    return str(header.get(card) or "").strip()


def _masked(values: Any, null: int | None) -> "np.ma.MaskedArray[Any, Any]":
    if values.dtype.kind == "f":
        return np.ma.masked_where(np.isnan(values), values, copy=False)
    missing = (
        np.zeros(len(values), bool)
        if null is None or values.dtype.kind not in "iu"
        else values == null
    )
    return np.ma.masked_where(missing, values, copy=False)
