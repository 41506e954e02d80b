"""Each ID once, in memory of eight bytes a row: numbers made of IDs are compared, then the IDs whose numbers agree."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.release.lookup import fixed_width

WIDTH = 32
"""Bytes that an ID is filled up to: four numbers of eight; the dictionary allows 30."""
MIX = np.uint64(0x9E3779B97F4A7C15)
SUSPECTS = 1000
"""IDs compared in full; more than that need not be named."""


class Identities:
    """The numbers of all IDs, filled batch by batch."""

    def __init__(self, rows: int) -> None:
        self._number_N = np.empty(rows, np.uint64)
        self._filled = 0

    def add(self, ids: pa.ChunkedArray) -> None:
        """Take the next IDs."""
        stop = min(self._filled + len(ids), len(self._number_N))
        self._number_N[self._filled : stop] = numbers(ids)[: stop - self._filled]
        self._filled = stop

    def suspects(self) -> NDArray[np.uint64]:
        """Numbers that stand more than once, in order; the IDs behind them need not be the same."""
        found = self._number_N[: self._filled]
        found.sort()
        return np.unique(found[1:][found[1:] == found[:-1]])[:SUSPECTS]


def numbers(ids: pa.ChunkedArray) -> NDArray[np.uint64]:
    """A number of 64 bits for each ID; the same for the same ID, and hardly ever for another.

    Raises
    ------
    ValueError
        If an ID is longer than any ID of a release may be.
    """
    if (pc.max(pc.binary_length(ids)).as_py() or 0) > WIDTH:
        raise ValueError(f"an ID has more than {WIDTH} characters")
    words_NW = fixed_width(ids, WIDTH).view(np.uint64).reshape(len(ids), -1)
    number_N = np.zeros(len(ids), np.uint64)
    for word_N in words_NW.T:
        number_N = (number_N ^ word_N) * MIX
        number_N ^= number_N >> np.uint64(29)
    return number_N


def repeated(batches: Iterable[pa.Table], suspects: NDArray[np.uint64]) -> list[str]:
    """The IDs that really stand more than once, of those with a suspect number."""
    counts: Counter[str] = Counter()
    for batch in batches:
        number_N = numbers(batch["ID"])
        place_N = np.minimum(np.searchsorted(suspects, number_N), len(suspects) - 1)
        counts.update(batch["ID"].filter(pa.array(suspects[place_N] == number_N)).to_pylist())
    return [name for name, number in counts.items() if number > 1]
