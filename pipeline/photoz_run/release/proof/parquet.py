"""The Parquet files of a release, with which all other products are compared.

Their rows are looked at once, in order: every rule, the order, the tiles, the flags, the area and
the IDs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from photoz_run import flags, schema
from photoz_run.catalogue.arrow_fields import is_text
from photoz_run.catalogue.table import QUANTILES, dictionary_schema
from photoz_run.release.distributions import quantile_levels
from photoz_run.release.proof.check import Check, proven, verdict
from photoz_run.release.proof.compare import column_differences
from photoz_run.release.proof.identity import Identities, repeated
from photoz_run.release.proof.judge import Judge
from photoz_run.release.proof.opened import Opened
from photoz_run.release.proof.rules import (
    Broken,
    RowArrays,
    RowLimits,
    flag_rules,
    null_rules,
    range_rules,
)
from photoz_run.release.proof.votable import LENGTH, VOTABLE_KEYS, wrong_fields, wrong_infos
from photoz_run.release.provenance import ColumnFacts, TileFacts
from photoz_run.release.record import ReleaseRecord
from photoz_run.release.rows import WHOLE
from photoz_run.release.sky import healpix_index
from photoz_run.survey.data_release import find_data_release
from photoz_run.wording import counted


class ParquetJudge(Judge):
    """Proves statements and columns of the Parquet files; `RowProof` proves their rows."""

    def statements(self) -> Iterator[Check]:
        """The metadata of the first part; the columns tell whether the others have the same."""
        yield from proven(
            "provenance in Parquet",
            lambda: [check_parquet_statements(self.opened.parts[0], self.opened.record)],
        )

    def columns(self) -> Iterator[Check]:
        """The fields of all parts."""
        columns, record = self.opened.provenance.columns, self.opened.record
        yield from proven(
            "columns of Parquet",
            lambda: check_parquet_columns(self.opened.parts, columns, record),
        )


def check_parquet_statements(part: Path, record: ReleaseRecord) -> Check:
    """Compare the metadata of Parquet with the provenance."""
    metadata = pq.read_schema(part).metadata or {}
    stored = {key.decode(): text.decode() for key, text in metadata.items()}
    problems = [
        f"{key} is {stored.get(key)!r}"
        for key, text in record.metadata().items()
        if stored.get(key) != text
    ]
    lengths = {f"{LENGTH}{field.name}" for field in pq.read_schema(part) if is_text(field.type)}
    known = {*record.metadata(), *VOTABLE_KEYS, *lengths}
    problems += [f"{key} is no key of a release" for key in stored if key not in known]
    return verdict("provenance in Parquet", problems, "as in provenance.json")


def check_parquet_columns(
    parts: Sequence[Path], columns: Sequence[ColumnFacts], record: ReleaseRecord
) -> Iterator[Check]:
    """Compare the fields with the dictionary, with the provenance, and with one another."""
    fields = pq.read_schema(parts[0])
    yield _check_dictionary(fields)
    stated = {column.name: column for column in columns}
    problems = []
    if list(stated) != fields.names:
        problems.append("provenance.json has other columns than Parquet")
    for column in fields:
        problems += column_differences(column, stated.get(column.name))
    for part in parts:
        if not pq.read_schema(part).equals(fields, check_metadata=True):
            problems.append(f"{part.name} has other columns or metadata than {parts[0].name}")
    good = f"{len(fields)} columns, alike in {counted(len(parts), 'file')}"
    problems += _wrong_names(parts, record.name)
    yield verdict("columns of Parquet", problems, good)
    wrong = [*wrong_fields(fields), *wrong_infos(fields, record)]
    yield verdict("VOTable in Parquet", wrong, "VOParquet 1.0, the same columns")


def _check_dictionary(fields: pa.Schema) -> Check:
    """Compare the fields of the dictionary with the dictionary."""
    names = [column.name for column in schema.COLUMNS]
    problems = []
    if fields.names[: len(names)] != names:
        problems.append("the columns of the dictionary are not the first ones")
    for expected in [*dictionary_schema("photoz"), *dictionary_schema("on_request")]:
        if expected.name in fields.names:
            problems += column_differences(fields.field(expected.name), ColumnFacts.of(expected))
    good = f"{len(names)} columns as the dictionary has them"
    return verdict("columns of the dictionary", problems, good)


def _wrong_names(parts: Sequence[Path], name: str) -> Iterator[str]:
    """Parts that are not numbered from 0 on, or have no rows; one file has the release's name."""
    if parts[0].name == f"{name}{WHOLE}":
        return
    for number, part in enumerate(parts):
        if part.name != f"part-{number:04d}.parquet":
            yield f"{part.name} is not part {number}"
        elif len(parts) > 1 and not pq.read_metadata(part).num_rows:
            yield f"{part.name} has no rows"


@dataclass
class RowProof:
    """What is learned while the rows of Parquet are read."""

    limits: RowLimits
    identities: Identities
    rows: int = 0
    tiles: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    nulls: Broken = field(default_factory=Broken)
    ranges: Broken = field(default_factory=Broken)
    bits: Broken = field(default_factory=Broken)
    order: Broken = field(default_factory=Broken)
    _last: tuple[int, str] = (-1, "")

    @classmethod
    def of(cls, opened: Opened, rows: int) -> "RowProof":
        """For a release of at most ``rows`` rows."""
        return cls(row_limits(opened), Identities(rows))

    def add(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Look at the next rows; ``index_N`` are their HEALPix indices."""
        self.rows += len(batch)
        rows = RowArrays(batch)
        self.nulls.note(batch, null_rules(rows))
        self.ranges.note(batch, range_rules(rows, self.limits))
        self.bits.note(batch, flag_rules(rows, self.limits))
        self.identities.add(batch["ID"])
        for pair in batch["KIDS_TILE"].value_counts().to_pylist():
            self.tiles[str(pair["values"])] += pair["counts"]
        self.flags.update(flags.count(rows.flag_N))
        disordered_N = self._disordered(batch["ID"], index_N)
        self.order.note(batch, [("out of order by HEALPix index and ID", disordered_N)])

    def checks(self, stated: Mapping[str, int], again: Iterable[pa.Table]) -> Iterator[Check]:
        """What follows from all rows.

        Parameters
        ----------
        stated
            How many rows have each flag, by the provenance.
        again
            The same rows once more, with their IDs; read only if IDs may repeat.
        """
        yield verdict(
            "nulls", self.nulls.problems(), "only where the dictionary allows them, and together"
        )
        yield verdict(
            "ranges", self.ranges.problems(), "positions, redshifts, intervals and their order"
        )
        yield verdict("flags", self.bits.problems(), "only known bits, none against its value")
        yield self._check_flag_counts(stated)
        yield self._check_ids(again)
        yield verdict(
            "order of rows", self.order.problems(), "by HEALPix index of order 29, then ID"
        )

    def _check_flag_counts(self, stated: Mapping[str, int]) -> Check:
        problems = []
        for name in sorted({*self.flags, *stated}):
            here, expected = self.flags.get(name, 0), stated.get(name, 0)
            if here != expected:
                problems.append(f"{name} is set in {here:,} rows, not {expected:,}")
        good = f"{counted(len(self.flags), 'kind')}, as in provenance.json"
        return verdict("numbers of flags", problems, good)

    def _check_ids(self, again: Iterable[pa.Table]) -> Check:
        suspects = self.identities.suspects()
        twice = repeated(again, suspects) if len(suspects) else []
        problems = [f"{name!r} stands more than once" for name in twice]
        return verdict("IDs", problems, f"{self.rows:,}, each once")

    def _disordered(self, ids: pa.ChunkedArray, index_N: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Rows that ought to stand before the row before them."""
        if not len(index_N):
            return np.zeros(0, bool)
        last_index, last_id = self._last
        self._last = int(index_N[-1]), ids[-1].as_py()
        before_N = np.concatenate([[last_index], index_N[:-1]])
        wrong_N = index_N < before_N
        # Few rows share an index: only there the IDs decide.
        for row in np.flatnonzero(index_N == before_N):
            id_before = ids[row - 1].as_py() if row else last_id
            wrong_N[row] = (ids[row].as_py() or "") < (id_before or "")
        return np.asarray(wrong_N, np.bool_)


def row_limits(opened: Opened) -> RowLimits:
    """What the rows of a release may hold, by its provenance and its columns."""
    ends = opened.provenance.model.redshift_range
    if ends is None:
        raise ValueError("provenance.json does not say the model's range of redshift")
    data_releases = [find_data_release(name) for name in opened.provenance.input_releases]
    bits = max(len(data_release.mask_bits) for data_release in data_releases)
    fields = opened.fields
    levels = quantile_levels(fields) if QUANTILES in fields.names else []
    return RowLimits(*ends, bits, tuple(levels))


def indices(batch: pa.Table) -> NDArray[np.int64]:
    """The HEALPix index of each row, -1 for a position that is not on the sky."""
    ra_N, dec_N = (batch[name].to_numpy().astype(np.float64) for name in ("RAJ2000", "DECJ2000"))
    on_sky_N = np.isfinite(ra_N) & (np.abs(dec_N) <= 90)
    if on_sky_N.all():
        return healpix_index(ra_N, dec_N)
    index_N = np.full(len(ra_N), -1, np.int64)
    index_N[on_sky_N] = healpix_index(ra_N[on_sky_N], dec_N[on_sky_N])
    return index_N


def check_tiles(rows: Mapping[str, int], tiles: Sequence[TileFacts]) -> Check:
    """Compare the rows of each tile with those that the provenance says were released."""
    stated = {tile.tile: tile.released for tile in tiles}
    problems = [f"{tile} is not in provenance.json" for tile in sorted(set(rows) - set(stated))]
    for tile, number in stated.items():
        if rows.get(tile, 0) != number:
            problems.append(f"{tile} has {rows.get(tile, 0):,} rows, not {number:,}")
    present = sum(number > 0 for number in rows.values())
    good = f"{counted(present, 'tile')}, as many rows as were released"
    return verdict("rows of each tile", problems, good)
