"""The rows of a release, looked at once, in order: every rule, the order, the tiles, the flags, the area, the IDs."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run import flags
from photoz_run.release.proof.check import Check, verdict
from photoz_run.release.proof.identity import Identities, repeated
from photoz_run.release.proof.rules import Limits, Rule, flag_rules, null_rules, range_rules
from photoz_run.release.sky import healpix_index

OFF_COADD = flags.bit("EDGE") | flags.bit("NO_COVERAGE")
"""Sources with one of these may lie beside the coadds; all others lie on them."""


@dataclass
class Broken:
    """Rows that break rules: how many break each one, and the ID of the first."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def note(self, batch: pa.Table, rules: Iterable[Rule]) -> None:
        """Count the rows of ``batch`` that break ``rules``."""
        for words, broken_N in rules:
            rows = np.flatnonzero(broken_N)
            if len(rows):
                self.counts[words] += len(rows)
                self.first.setdefault(words, f"{batch['ID'][int(rows[0])]}")

    def problems(self) -> list[str]:
        """A line for each rule that is broken."""
        return [
            f"{words} in {number:,} rows, the first is {self.first[words]!r}"
            for words, number in self.counts.items()
        ]


@dataclass
class RowProof:
    """What is learned while the rows of Parquet go by. ``covered_R2`` are ranges of the HEALPix index, in order."""

    limits: Limits
    covered_R2: NDArray[np.uint64]
    identities: Identities
    rows: int = 0
    tiles: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    nulls: Broken = field(default_factory=Broken)
    ranges: Broken = field(default_factory=Broken)
    bits: Broken = field(default_factory=Broken)
    places: Broken = field(default_factory=Broken)
    outside: int = 0
    """Sources outside the area with a flag that explains it."""
    _last: tuple[int, str] = (-1, "")

    def add(self, batch: pa.Table) -> NDArray[np.int64]:
        """Look at the next rows; their HEALPix indices."""
        self.rows += len(batch)
        self.nulls.note(batch, null_rules(batch))
        self.ranges.note(batch, range_rules(batch, self.limits))
        self.bits.note(batch, flag_rules(batch, self.limits))
        self.identities.add(batch["ID"])
        for pair in batch["KIDS_TILE"].value_counts().to_pylist():
            self.tiles[str(pair["values"])] += pair["counts"]
        self.flags.update(flags.count(batch["PHOTOZ_FLAG"].fill_null(0).to_numpy()))
        index_N = indices(batch)
        self.places.note(
            batch,
            [("out of order by HEALPix index and ID", self._disordered(batch["ID"], index_N))],
        )
        self._note_outside(batch, index_N)
        return index_N

    def checks(self, made: Mapping[str, Any], again: Iterable[pa.Table]) -> Iterator[Check]:
        """What follows from all rows; ``again`` are the same rows once more, read only if IDs may repeat."""
        yield verdict(
            "nulls", self.nulls.problems(), "only where the dictionary allows them, and together"
        )
        yield verdict(
            "ranges", self.ranges.problems(), "positions, redshifts, intervals and their order"
        )
        yield verdict("flags", self.bits.problems(), "only known bits, none against its value")
        wrong = [
            f"{name} is set in {self.flags.get(name, 0):,} rows, not {made['flags'].get(name, 0):,}"
            for name in sorted({*self.flags, *made["flags"]})
            if self.flags.get(name, 0) != made["flags"].get(name, 0)
        ]
        yield verdict("numbers of flags", wrong, f"{len(self.flags)} kinds, as in provenance.json")
        suspects = self.identities.suspects()
        twice = (
            [f"{name!r} stands more than once" for name in repeated(again, suspects)]
            if len(suspects)
            else []
        )
        yield verdict("IDs", twice, f"{self.rows:,}, each once")
        places = self.places.problems()
        order = [problem for problem in places if problem.startswith("out of order")]
        yield verdict("order of rows", order, "by HEALPix index of order 29, then ID")
        explained = (
            f"; {self.outside:,} flagged EDGE or NO_COVERAGE lie outside" if self.outside else ""
        )
        yield verdict(
            "area",
            [one for one in places if one not in order],
            f"every source lies in the MOC{explained}",
        )

    def _disordered(self, ids: pa.ChunkedArray, index_N: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Rows that ought to stand before the row before them."""
        if not len(index_N):
            return np.zeros(0, bool)
        texts = pa.concat_arrays(
            [pa.array([self._last[1]], pa.string()), ids.combine_chunks().cast(pa.string())]
        )
        before_N = np.concatenate([[self._last[0]], index_N[:-1]])
        falls_N = pc.less(texts[1:], texts[:-1]).to_numpy(zero_copy_only=False)
        self._last = int(index_N[-1]), ids[-1].as_py()
        return np.asarray((index_N < before_N) | ((index_N == before_N) & falls_N), np.bool_)

    def _note_outside(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        outside_N = ~covered(index_N, self.covered_R2)
        explained_N = (batch["PHOTOZ_FLAG"].fill_null(0).to_numpy() & OFF_COADD) != 0
        self.outside += int((outside_N & explained_N).sum())
        self.places.note(
            batch, [("outside the MOC, not flagged EDGE or NO_COVERAGE,", outside_N & ~explained_N)]
        )


def indices(batch: pa.Table) -> NDArray[np.int64]:
    """The HEALPix index of each row, -1 for a position that is not on the sky."""
    ra_N, dec_N = (batch[name].to_numpy().astype(np.float64) for name in ("RAJ2000", "DECJ2000"))
    on_sky_N = np.isfinite(ra_N) & (np.abs(dec_N) <= 90)
    index_N = np.full(len(ra_N), -1, np.int64)
    index_N[on_sky_N] = healpix_index(ra_N[on_sky_N], dec_N[on_sky_N])
    return index_N


def covered(index_N: NDArray[np.int64], range_R2: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which indices lie in one of the ranges (end excluded), which are in order."""
    if not len(range_R2):
        return np.zeros(len(index_N), bool)
    range_N = np.searchsorted(range_R2[:, 0].astype(np.int64), index_N, side="right") - 1
    return np.asarray((range_N >= 0) & (index_N < range_R2[range_N, 1].astype(np.int64)), np.bool_)


def check_tiles(found: Mapping[str, int], made: Mapping[str, Any]) -> Check:
    """Compare the rows of each tile with those that the provenance says were released."""
    stated = {one["tile"]: int(one["released"]) for one in made["tiles"]}
    problems = [f"{tile} is not in provenance.json" for tile in sorted(set(found) - set(stated))]
    problems += [
        f"{tile} has {found.get(tile, 0):,} rows, not {number:,}"
        for tile, number in stated.items()
        if found.get(tile, 0) != number
    ]
    present = sum(number > 0 for number in found.values())
    return verdict(
        "rows of each tile", problems, f"{present:,} tiles, as many rows as were released"
    )
