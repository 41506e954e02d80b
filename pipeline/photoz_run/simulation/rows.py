"""Records whose fields are arrays over the same objects: take some of the objects, or put records end to end."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Record = TypeVar("Record")

Chosen = NDArray[np.bool_] | NDArray[np.intp] | slice


def take(record: Record, chosen: Chosen) -> Record:
    """The chosen objects of a record; fields that are records themselves are taken from likewise."""

    def of(value: Any) -> Any:
        return value[chosen] if isinstance(value, np.ndarray) else take(value, chosen)

    return type(record)(*(of(getattr(record, f.name)) for f in fields(record)))  # type: ignore[arg-type]


def join(records: Sequence[Record]) -> Record:
    """The objects of several records of one kind, in order."""

    def of(values: list[Any]) -> Any:
        return np.concatenate(values) if isinstance(values[0], np.ndarray) else join(values)

    names = [f.name for f in fields(records[0])]  # type: ignore[arg-type]
    return type(records[0])(*(of([getattr(record, name) for record in records]) for name in names))
