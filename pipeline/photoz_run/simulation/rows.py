"""Records whose fields are arrays over the same objects: take some objects, or join records."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Record = TypeVar("Record")

Chosen = NDArray[np.bool_] | NDArray[np.intp] | slice


def take(record: Record, chosen: Chosen) -> Record:
    """The chosen objects of a record; so too in fields that are records themselves."""
    parts = []
    for name in _names(record):
        value = getattr(record, name)
        parts.append(value[chosen] if isinstance(value, np.ndarray) else take(value, chosen))
    return type(record)(*parts)


def join(records: Sequence[Record]) -> Record:
    """The objects of several records of one kind, in order."""
    parts: list[Any] = []
    for name in _names(records[0]):
        values = [getattr(record, name) for record in records]
        is_array = isinstance(values[0], np.ndarray)
        parts.append(np.concatenate(values) if is_array else join(values))
    return type(records[0])(*parts)


def _names(record: Any) -> list[str]:
    """The names of a record's fields."""
    return [field.name for field in fields(record)]
