"""FITS, HATS and the PDFs hold the rows of Parquet, one by one and value by value."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.catalogue.arrow_fields import is_text
from photoz_run.catalogue.pdf import POINT_ESTIMATE, moved_apart, quantile_levels, quantile_matrix
from photoz_run.catalogue.table import QUANTILES
from photoz_run.release.lookup import fixed_width
from photoz_run.release.merge import INDEX
from photoz_run.release.proof.check import Check, verdict
from photoz_run.release.proof.streams import (
    ArrowStream,
    FitsStream,
    Partition,
    parquet_rows,
    strangers,
)


class Copy(Protocol):
    """A product that goes by beside Parquet."""

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Compare the next rows; ``index_N`` are their HEALPix indices."""

    def checks(self) -> Iterator[Check]:
        """What was found, after the last rows."""


@dataclass
class Difference:
    """Where two products do not agree: how many values of each column, and the first row."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def note(self, column: str, differs_N: NDArray[np.bool_], start: int) -> None:
        """Count the rows that differ in ``column``; ``start`` is the number of the first one looked at."""
        if differs_N.any():
            self.counts[column] = self.counts.get(column, 0) + int(differs_N.sum())
            self.first.setdefault(column, start + int(np.argmax(differs_N)))

    def problems(self) -> list[str]:
        """A line for each column."""
        return [
            f"{column} differs in {number:,} rows, the first is row {self.first[column]:,}"
            for column, number in self.counts.items()
        ]


class FitsCopy:
    """The FITS table beside Parquet."""

    def __init__(self, path: Path) -> None:
        self._stream = FitsStream(path, "PHOTOZ")
        self._found = Difference()
        self._seen = 0

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Compare the next records."""
        records = self._stream.take(len(batch))
        part = batch.slice(0, len(records))
        for name in batch.column_names:
            here = stored_values(records[name], self._stream.nulls[name])
            self._found.note(
                name,
                differing(here, arrow_values(part[name], records.dtype[name].itemsize)),
                self._seen,
            )
        self._seen += len(batch)

    def checks(self) -> Iterator[Check]:
        """Rows and values."""
        yield counted("rows of FITS", self._stream.rows, self._seen)
        yield verdict(
            "FITS = Parquet", self._found.problems(), f"{self._seen:,} rows, value by value"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.__exit__(kind, error, trace)


class HatsCopy:
    """The partitions of the HATS catalogue beside Parquet, one after the other."""

    def __init__(self, partitions: list[Partition]) -> None:
        self._partitions = partitions
        self._astray: list[str] = []
        self._stream = ArrowStream(self._rows())
        self._found = Difference()
        self._seen = self._taken = 0

    def _rows(self) -> Iterator[pa.Table]:
        for partition in self._partitions:
            outside = 0
            for table in parquet_rows([partition.path]):
                outside += strangers(table, partition)
                yield table
            if outside:
                self._astray.append(
                    f"{outside:,} rows of {partition.path.name} lie outside its cell"
                )

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Compare the next rows."""
        rows = self._stream.take(len(batch))
        if rows is not None:
            part = batch.slice(0, len(rows))
            for name in batch.column_names:
                self._found.note(name, unequal(rows[name], part[name]), self._seen)
            self._found.note(INDEX, rows[INDEX].to_numpy() != index_N[: len(rows)], self._seen)
            self._taken += len(rows)
        self._seen += len(batch)

    def checks(self) -> Iterator[Check]:
        """Rows, cells and values."""
        yield counted("rows of HATS", self._taken + self._stream.rest(), self._seen)
        yield verdict(
            "HATS cells",
            self._astray,
            f"{len(self._partitions):,} partitions, each with its own rows",
        )
        yield verdict(
            "HATS = Parquet", self._found.problems(), f"{self._seen:,} rows, value by value"
        )


class PdfCopy:
    """The distributions beside the quantiles of Parquet."""

    def __init__(self, path: Path, fields: pa.Schema) -> None:
        import h5py

        self._file = h5py.File(path)
        self._levels_Q = np.array(quantile_levels(fields))
        self._found = Difference()
        self._seen = self._taken = 0

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Compare the distributions of the next rows."""
        quantiles_NQ = quantile_matrix(batch[QUANTILES])
        known_N = np.flatnonzero(np.isfinite(quantiles_NQ).all(axis=1))
        rows = batch.take(pa.array(known_N))
        expected = {
            "data/locs": moved_apart(quantiles_NQ[known_N], self._levels_Q)[0],
            "ancil/ID": arrow_values(rows["ID"], self._file["ancil/ID"].dtype.itemsize)[0],
            "ancil/ROW": self._seen + known_N,
            f"ancil/{POINT_ESTIMATE}": rows[POINT_ESTIMATE].to_numpy(),
        }
        for name, values in expected.items():
            here = self._file[name][self._taken : self._taken + len(known_N)]
            differs = here != values[: len(here)]
            self._found.note(
                name, differs.any(axis=1) if differs.ndim > 1 else differs, self._taken
            )
        self._taken += len(known_N)
        self._seen += len(batch)

    def checks(self) -> Iterator[Check]:
        """Levels, rows and values."""
        problems = self._found.problems()
        if not np.array_equal(self._file["meta/quants"][()].ravel(), self._levels_Q):
            problems.insert(0, "the levels are others")
        numbers = {
            len(self._file[name])
            for name in ("data/locs", "ancil/ID", "ancil/ROW", f"ancil/{POINT_ESTIMATE}")
        }
        yield counted(
            "rows of the PDFs",
            max(numbers, key=lambda number: abs(number - self._taken)),
            self._taken,
        )
        yield verdict(
            "PDFs = Parquet",
            problems,
            f"{self._taken:,} distributions, of every row with a redshift",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


Values = tuple[NDArray[Any], NDArray[np.bool_]]
"""Values, and where there is none."""


def stored_values(stored: NDArray[Any], null: int | None) -> Values:
    """A FITS column as the standard says: NaN, TNULL and a logical of 0 are null; texts are never."""
    kind = stored.dtype.kind
    if kind == "f":
        return stored, np.isnan(stored)
    if kind == "i" and stored.dtype.itemsize == 1:
        return stored == ord("T"), stored == 0
    return stored, np.zeros(stored.shape, bool) if null is None else stored == null


def arrow_values(column: pa.ChunkedArray, width: int) -> Values:
    """An Arrow column in the same form; texts of ``width`` bytes or more, a null text is an empty one."""
    if is_text(column.type):
        texts = fixed_width(column, max(width, longest(column)))
        return texts, np.zeros(len(texts), bool)
    if pa.types.is_fixed_size_list(column.type):
        matrix = quantile_matrix(column)
        return matrix, np.isnan(matrix)
    array = column.combine_chunks()
    missing_N = array.is_null().to_numpy(zero_copy_only=False)
    filled = array.fill_null(False if pa.types.is_boolean(array.type) else 0)
    return filled.to_numpy(zero_copy_only=False), missing_N


def differing(one: Values, other: Values) -> NDArray[np.bool_]:
    """Rows in which a value differs, or is missing in one only."""
    differs = (one[1] != other[1]) | (~one[1] & ~other[1] & (one[0] != other[0]))
    return np.asarray(differs.any(axis=1) if differs.ndim > 1 else differs, np.bool_)


def unequal(one: pa.ChunkedArray, other: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Rows in which two Arrow columns differ."""
    if one.type == other.type and one.equals(other):
        return np.zeros(len(one), bool)
    return differing(arrow_values(one, 1), arrow_values(other, 1))


def longest(texts: pa.ChunkedArray) -> int:
    """Bytes of the longest text."""
    return pc.max(pc.binary_length(texts.cast(pa.string()))).as_py() or 0


def counted(name: str, found: int, expected: int) -> Check:
    """Compare numbers of rows."""
    return verdict(
        name, [] if found == expected else [f"{found:,}, not {expected:,}"], f"{found:,}"
    )
