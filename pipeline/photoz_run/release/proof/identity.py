"""Each ID once, in memory of eight bytes a row.

Numbers made of the IDs are compared first, then the IDs whose numbers are equal.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.catalogue.arrow_fields import longest_text
from photoz_run.release.identity import id_numbers

LONGEST = 32
"""Bytes that an ID may have here; the dictionary allows 30."""
SUSPECTS = 1000
"""IDs compared in full; more than that need not be named."""


class Identities:
    """The numbers of all IDs, filled batch by batch."""

    def __init__(self, rows: int) -> None:
        self._number_N = np.empty(rows, np.uint64)
        self._filled = 0

    def add(self, ids: pa.ChunkedArray) -> None:
        """Take the next IDs.

        Raises
        ------
        ValueError
            If an ID is longer than any ID of a release may be.
        """
        if longest_text(ids) > LONGEST:
            raise ValueError(f"an ID has more than {LONGEST} characters")
        stop = min(self._filled + len(ids), len(self._number_N))
        self._number_N[self._filled : stop] = id_numbers(ids)[: stop - self._filled]
        self._filled = stop

    def suspects(self) -> NDArray[np.uint64]:
        """Numbers that stand more than once, in order; the IDs behind them may differ."""
        number_N = self._number_N[: self._filled]
        number_N.sort()
        repeats_N = number_N[1:] == number_N[:-1]
        return np.unique(number_N[1:][repeats_N])[:SUSPECTS]


def repeated(batches: Iterable[pa.Table], suspects: NDArray[np.uint64]) -> list[str]:
    """The IDs that really stand more than once, of those with a suspect number."""
    counts: Counter[str] = Counter()
    for batch in batches:
        number_N = id_numbers(batch["ID"])
        place_N = np.minimum(np.searchsorted(suspects, number_N), len(suspects) - 1)
        suspect_N = suspects[place_N] == number_N
        counts.update(batch["ID"].filter(pa.array(suspect_N)).to_pylist())
    return [name for name, number in counts.items() if number > 1]
