"""The columns by which rows of two tables find each other: positions in degrees, or IDs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.errors import BadDataError
from photoz_run.tables.arrays import WHOLE_BITS, digits_lost, floats, what_it_holds
from photoz_run.tables.canonical import TEXT, is_text
from photoz_run.tables.refusals import there_are, wrong_content
from photoz_run.tables.systems import refuse_other_systems
from photoz_run.tables.table import Table
from photoz_run.tables.units import degrees_per_unit

POSITIONS = (
    ("RAJ2000", "DECJ2000"),
    ("RA", "DEC"),
    ("RAcen", "Deccen"),
    ("ra", "dec"),
    ("ALPHA_J2000", "DELTA_J2000"),
    ("TARGET_RA", "TARGET_DEC"),
    ("PLUG_RA", "PLUG_DEC"),
    ("RA", "Dec"),
    ("R.A.", "Dec."),
    ("RA_ICRS", "DE_ICRS"),
    ("RAJ2000", "DEJ2000"),
    ("_RAJ2000", "_DEJ2000"),
    ("RAdeg", "DEdeg"),
    ("alpha", "delta"),
)
"""Right ascension and declination as surveys, VizieR and source-extractor call them."""


@dataclass(frozen=True)
class Names:
    """Columns named by the user, "" where they are to be recognised."""

    ra: str = ""
    dec: str = ""
    id: str = ""


RECOGNISED = Names()
"""No column is named: all are to be recognised."""


def position_columns(table: Table, named: Names = RECOGNISED) -> tuple[str, str]:
    """The columns of right ascension and declination: those named, or the first pair there is.

    Raises
    ------
    BadDataError
        If they are not there or not recognised.
    """
    if bool(named.ra) != bool(named.dec):
        raise BadDataError(f"{table.where}: name both, --ra and --dec")
    if named.ra:
        table.require([named.ra, named.dec])
    found = position_pair(table, named)
    if found is None:
        known = ", ".join("/".join(pair) for pair in POSITIONS[:5])
        raise BadDataError(
            f"{table.where}: no position columns ({known}, ...); name them, --ra and --dec;"
            f" {there_are(['RA', 'DEC'], table.names)}"
        )
    return found


def position_pair(table: Table, named: Names = RECOGNISED) -> tuple[str, str] | None:
    """The columns of the position that a table has, if it has any."""
    known = ((named.ra, named.dec),) if named.ra else (*POSITIONS, *_in_lower_case())
    return next((pair for pair in known if not table.missing(pair)), None)


def _in_lower_case() -> Iterator[tuple[str, str]]:
    """The names as databases spell them, which know no capitals."""
    return ((ra.lower(), dec.lower()) for ra, dec in POSITIONS)


def id_columns(table: Table, named: Names = RECOGNISED) -> list[str]:
    """The column of the ID, if the table has it."""
    return [name for name in [named.id or "ID"] if not table.missing([name])]


def id_column(table: Table, named: Names = RECOGNISED) -> str:
    """The column of the ID: the one named, or ID; `BadDataError` if it is not there."""
    name = named.id or "ID"
    if table.missing([name]):
        hint = "" if named.id else "name it, --id; "
        raise BadDataError(
            f"{table.where}: no column {name}; {hint}{there_are([name], table.names)}"
        )
    return name


def id_texts(where: str, rows: pa.Table, name: str) -> pa.ChunkedArray:
    """IDs as texts, null where one is missing: 12 is "12", whatever type of number holds it.

    Raises
    ------
    BadDataError
        If they are floating-point numbers that have lost their last digits (from 2^53 on, or 2^24
        of 32 bits): IDs that differ would be one.
    """
    values = rows[name]
    if lost := digits_lost(values):
        raise wrong_content(where, name, lost, "a whole number or a text")
    return as_written(values)


def as_written(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values of any type as texts, whole floating-point numbers without a point."""
    if not pa.types.is_floating(values.type):
        return values.cast(TEXT)
    small = pc.less(pc.abs(values), 2.0 ** WHOLE_BITS[values.type])
    whole = pc.and_(small, pc.equal(values, pc.floor(values)))
    return pc.if_else(whole, values.cast(pa.int64(), safe=False).cast(TEXT), values.cast(TEXT))


def ids(where: str, rows: pa.Table, name: str) -> NDArray[np.str_]:
    """`id_texts` as an array, "" where an ID is missing."""
    texts = id_texts(where, rows, name).fill_null("")
    return np.array(texts.to_pylist(), dtype=np.str_)


def positions(
    table: Table, rows: pa.Table, pair: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right ascension and declination (deg) of rows of a table, both NaN where a row has none.

    A column that states another unit of angle is converted, one in another coordinate system than
    ICRS refused.

    No position is one that is missing, off the sky, or a sentinel: both values the same whole
    number, such as 0, -1, -99 or 999.

    Raises
    ------
    BadDataError
        If the columns do not hold numbers, or have a unit that is none of an angle, or state
        another coordinate system.
    """
    for name in pair:
        if is_text(rows[name].type):
            holds = what_it_holds(rows[name])
            raise wrong_content(table.where, name, holds, "a number of degrees")
    refuse_other_systems(table, pair)
    stated_2N = [floats(table.where, rows, name) for name in pair]
    factors = [degrees_per_unit(table, name) for name in pair]
    ra_N, dec_N = (factor * one_N for factor, one_N in zip(factors, stated_2N, strict=True))
    with np.errstate(invalid="ignore"):
        off_sky = ~((np.abs(dec_N) <= 90) & (np.abs(ra_N) <= 720))
        code_N = stated_2N[0]
        sentinel = (code_N == stated_2N[1]) & (code_N == np.round(code_N)) & (code_N <= 0)
    none_N = off_sky | sentinel
    return np.where(none_N, np.nan, ra_N), np.where(none_N, np.nan, dec_N)
