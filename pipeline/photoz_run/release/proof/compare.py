"""Rows and columns of a product compared with those of Parquet, value by value."""

from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run import schema
from photoz_run.catalogue.arrow_fields import fixed_width, is_text, longest_text
from photoz_run.release.distributions import quantile_matrix
from photoz_run.release.provenance import ColumnFacts


@dataclass
class Difference:
    """Where two products differ: in how many rows of each column, and the first row."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def note(self, column: str, differs_N: NDArray[np.bool_], start: int) -> None:
        """Count the rows that differ in ``column``; ``start`` is the number of their first one."""
        if differs_N.any():
            self.counts[column] = self.counts.get(column, 0) + int(differs_N.sum())
            self.first.setdefault(column, start + int(np.argmax(differs_N)))

    def problems(self) -> list[str]:
        """A line for each column."""
        return [
            f"{column} differs in {number:,} rows, the first is row {self.first[column]:,}"
            for column, number in self.counts.items()
        ]


Values: TypeAlias = tuple[NDArray[Any], NDArray[np.bool_]]
"""Values, and where there is none."""


def arrow_values(column: pa.ChunkedArray, width: int) -> Values:
    """An Arrow column as values; texts have at least ``width`` bytes, and null texts are empty."""
    if is_text(column.type):
        texts = fixed_width(column, max(width, longest_text(column)))
        return texts, np.zeros(len(texts), bool)
    if pa.types.is_fixed_size_list(column.type):
        matrix = quantile_matrix(column)
        return matrix, np.isnan(matrix)
    array = column.combine_chunks()
    null_N = array.is_null().to_numpy(zero_copy_only=False)
    filled = array.fill_null(False if pa.types.is_boolean(array.type) else 0)
    return filled.to_numpy(zero_copy_only=False), null_N


def differing(here: Values, there: Values) -> NDArray[np.bool_]:
    """Rows in which a value differs, or is missing on one side only."""
    (values_here, null_here), (values_there, null_there) = here, there
    known = ~null_here & ~null_there
    differs = known & (values_here != values_there)
    differs |= null_here != null_there
    return np.asarray(differs.any(axis=1) if differs.ndim > 1 else differs, np.bool_)


def unequal(here: pa.ChunkedArray, there: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Rows in which two Arrow columns differ."""
    if here.type == there.type and here.equals(there):
        return np.zeros(len(here), bool)
    return differing(arrow_values(here, 1), arrow_values(there, 1))


def column_differences(field: pa.Field, expected: ColumnFacts | None) -> list[str]:
    """What a field says otherwise than expected; the dictionary leaves open how long lists are."""
    stated = asdict(expected) if expected else {}
    problems = []
    for key, here in asdict(ColumnFacts.of(field)).items():
        length_is_open = key == "type" and field.name == schema.QUANTILES.name
        if here != stated.get(key) and not length_is_open:
            problems.append(f"{field.name}: {key} is {here!r}, not {stated.get(key)!r}")
    return problems
