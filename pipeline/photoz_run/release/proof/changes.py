"""The list of changes of a release: its sources are there, or gone, and add up as it is said."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_run.catalogue.table import dictionary_schema
from photoz_run.release.changes import ADDED, CHANGED, REMOVED, ChangeCounts
from photoz_run.release.identity import id_numbers
from photoz_run.release.proof.check import Check, proven, verdict
from photoz_run.release.proof.judge import Beside, Judge
from photoz_run.release.proof.opened import Opened
from photoz_run.release.provenance import UpdateFacts
from photoz_run.release.rows import parquet_rows

KINDS = (ADDED, CHANGED, REMOVED)


class ChangesJudge(Judge):
    """Proves the list of changes, as far as the new release alone can tell."""

    def statements(self) -> Iterator[Check]:
        """What the file says of itself."""
        yield from proven("provenance in changes", lambda: [self._check_statements()])

    def copies(self, stack: ExitStack) -> Iterator[Beside]:
        """Its sources."""
        yield Beside("changes", lambda: ChangesCopy(self.path, self.opened))

    def _check_statements(self) -> Check:
        expected = dictionary_schema("changes").with_metadata(self.opened.record.metadata())
        same = pq.read_schema(self.path).equals(expected, check_metadata=True)
        problems = [] if same else ["its columns or metadata are others"]
        return verdict("provenance in changes", problems, "as in provenance.json")


class ChangesCopy:
    """The sources of the list beside those of Parquet."""

    def __init__(self, path: Path, opened: Opened) -> None:
        self._stated = opened.provenance.update
        self._rows = opened.provenance.rows
        self._counts = ChangeCounts()
        numbers: dict[str, list[NDArray[np.uint64]]] = {kind: [] for kind in KINDS}
        for table in parquet_rows([path]):
            self._counts.add(table)
            for kind in KINDS:
                ids = table["ID"].filter(pc.equal(table["CHANGE"], kind))
                numbers[kind].append(id_numbers(ids))
        nothing = np.empty(0, np.uint64)
        self._numbers = {
            kind: np.unique(np.concatenate([nothing, *parts])) for kind, parts in numbers.items()
        }
        self._present = dict.fromkeys(KINDS, 0)

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Count the next rows that are in the list."""
        number_N = id_numbers(batch["ID"])
        for kind, number_M in self._numbers.items():
            self._present[kind] += int(np.isin(number_N, number_M).sum())

    def checks(self) -> Iterator[Check]:
        """Whether the sources are there or gone, and the sums are those that are stated."""
        if self._stated is None:
            problems = ["provenance.json does not say what was updated"]
        else:
            problems = [*self._astray(), *self._other_sums(self._stated)]
        yield verdict("changes", problems, "sources are there or gone as listed, and add up")

    def _astray(self) -> Iterator[str]:
        for kind in (ADDED, CHANGED):
            lacking = len(self._numbers[kind]) - self._present[kind]
            if lacking:
                yield f"{lacking:,} sources that were {kind} are not in the release"
        if self._present[REMOVED]:
            yield f"{self._present[REMOVED]:,} sources that were removed are in the release"

    def _other_sums(self, stated: UpdateFacts) -> Iterator[str]:
        for tile in stated.tiles:
            expected = self._counts.tile(tile.tile, "unchanged")
            counts = [getattr(tile, kind) for kind in KINDS]
            if counts != [getattr(expected, kind) for kind in KINDS]:
                yield f"{tile.tile} counts {counts} sources {', '.join(KINDS)}, the list others"
        listed: Counter[str] = Counter()
        for (_, change), count in self._counts.by_tile.items():
            listed[change] += count
        for kind in KINDS:
            if getattr(stated, kind) != listed[kind]:
                yield f"{listed[kind]:,} sources are {kind}, not {getattr(stated, kind):,}"
        if stated.unchanged != self._rows - stated.added - stated.changed:
            yield "the unchanged sources are not the rest"
