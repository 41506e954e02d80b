"""What changed in each column of two catalogues, on the sources of both."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.science.statistics import Floats, median, smad
from photoz_run.tables.arrays import is_number
from photoz_run.tables.canonical import is_list
from photoz_run.tables.keys import as_written
from photoz_run.tables.table import Table
from photoz_run.validation.catalogue import INTERVALS
from photoz_run.validation.tables import matrix

REDSHIFTS = ("Z_PHOT", *INTERVALS)
"""Columns whose change is told in units of the scatter, too."""
FAR = 0.99
"""Nearly all sources have moved by less than this quantile of the changes says."""
MOST_LISTS = 2_000_000
"""Lists of more sources are not compared: they would fill the memory."""


@dataclass(frozen=True)
class ColumnChange:
    """What changed in a column, A minus B; numbers are NaN for texts, lists, truth values."""

    name: str
    changed: int
    """Sources whose value differs; a value beside none counts."""
    lost: int
    """Those that have none in A."""
    gained: int
    """Those that have none in B."""
    median: float
    smad: float
    far: float
    """The `FAR` quantile of the size of the change, of all sources with both values."""
    far_in_scatter: float = float("nan")
    """The same for a redshift, over 1 + z and in units of the scatter."""


@dataclass(frozen=True)
class ReadRows:
    """ReadRows of a table in an order of their own, and how to read them."""

    table: Table
    row_K: NDArray[np.integer]

    def column(self, name: str) -> pa.Array | pa.ChunkedArray:
        """A column of the rows."""
        order = np.argsort(self.row_K, kind="stable")
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return self.table.take([name], self.row_K[order], lists=[name])[name].take(pa.array(back))


def column_changes(
    a: ReadRows, b: ReadRows, z_b_K: Floats, scatter: float
) -> Iterator[ColumnChange]:
    """Compare every column that both tables have, one after the other.

    Parameters
    ----------
    a, b
        The same sources in two tables.
    z_b_K
        Their redshifts in B.
    scatter
        Of dz / (1 + z); NaN if it is not known.
    """
    others = set(b.table.names)
    for name in a.table.names:
        lists = is_list(a.table.fields([name])[0].type)
        if name in others and not (lists and len(a.row_K) > MOST_LISTS):
            width = scatter * (1 + z_b_K) if name in REDSHIFTS else None
            yield _compare(name, a.column(name), b.column(name), width)


def _compare(
    name: str, a: pa.ChunkedArray, b: pa.ChunkedArray, width_K: Floats | None
) -> ColumnChange:
    a, b = _comparable(a, b), _comparable(b, a)
    null_a, null_b = (np.asarray(part.is_null().to_numpy()) for part in (a, b))
    lost, gained = null_a & ~null_b, null_b & ~null_a
    numbers = (np.nan, np.nan, np.nan, np.nan)
    if is_list(a.type) and is_list(b.type):
        differs = _lists_differ(matrix(a), matrix(b))
    elif is_number(a.type) and is_number(b.type):
        differs = _numbers_differ(a, b)
        numbers = _moved(a, b, width_K)
    elif is_list(a.type) or is_list(b.type):
        differs = np.ones(len(a), bool)
    else:
        texts = a.type != b.type
        unequal = pc.not_equal(*(as_written(part) if texts else part for part in (a, b)))
        differs = np.asarray(pc.fill_null(unequal, False).to_numpy())
    changed = (differs & ~null_a & ~null_b) | lost | gained
    return ColumnChange(name, int(changed.sum()), int(lost.sum()), int(gained.sum()), *numbers)


def _comparable(values: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    """True as 1 beside numbers: as releases write truth values."""
    as_number = pa.types.is_boolean(values.type) and is_number(others.type)
    return values.cast(pa.int8()) if as_number else values


def _numbers_differ(a: pa.ChunkedArray, b: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Floats of two widths are compared in the narrower one; integers exactly."""
    kinds = {a.type, b.type}
    kind = pa.float32() if pa.float32() in kinds and kinds <= {pa.float32(), pa.float64()} else None
    first, second = (part.cast(kind, safe=False) if kind else part for part in (a, b))
    return np.asarray(pc.fill_null(pc.not_equal(first, second), False).to_numpy())


def _moved(
    a: pa.ChunkedArray, b: pa.ChunkedArray, width_K: Floats | None
) -> tuple[float, float, float, float]:
    """Median, SMAD and `FAR` quantile of A minus B, and the last in units of ``width_K``."""
    values = (np.asarray(part.cast(pa.float64(), safe=False).to_numpy()) for part in (a, b))
    first, second = values
    difference = first - second
    known = np.isfinite(difference)
    if not known.any():
        return np.nan, np.nan, np.nan, np.nan
    size = np.abs(difference)
    in_scatter = np.nan if width_K is None else _quantile(size / width_K)
    moved = difference[known]
    return float(median(moved)), float(smad(moved)), _quantile(size), in_scatter


def _quantile(size_K: Floats) -> float:
    finite = size_K[np.isfinite(size_K)]
    return float(np.quantile(finite, FAR)) if len(finite) else float("nan")


def _lists_differ(a_KQ: Floats, b_KQ: Floats) -> NDArray[np.bool_]:
    if a_KQ.shape != b_KQ.shape:
        return np.ones(len(a_KQ), bool)
    same = (a_KQ.astype(np.float32) == b_KQ.astype(np.float32)) | (np.isnan(a_KQ) & np.isnan(b_KQ))
    return np.asarray(~same.all(axis=1))
