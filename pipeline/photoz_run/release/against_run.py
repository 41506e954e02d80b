"""A release beside the run whose tiles it merges: every value, every tile, the area.

For each tile and column a number is made of every value and its ID, and these are added up. The
sums do not depend on the order of the rows, so that memory holds them alone. The numbers are made
with a random seed: nobody can choose values beforehand whose sums agree.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.catalogue.arrow_fields import is_text
from photoz_run.errors import ConfigError, PhotozError
from photoz_run.progress import StepProgress
from photoz_run.release.accounting import settle
from photoz_run.release.coverage import covered_area
from photoz_run.release.distributions import quantile_matrix
from photoz_run.release.facts import model_facts, run_facts, tile_facts
from photoz_run.release.identity import id_numbers
from photoz_run.release.merge import Scan, scan_tiles
from photoz_run.release.passthrough import PassThrough, pass_through
from photoz_run.release.plain import plain_rows
from photoz_run.release.proof.area import read_area
from photoz_run.release.proof.check import Check, verdict
from photoz_run.release.proof.compare import unequal
from photoz_run.release.proof.opened import Opened, same_build
from photoz_run.release.provenance import ReleaseProvenance, TileFacts
from photoz_run.release.rows import parquet_rows
from photoz_run.release.tiles import FinishedRun
from photoz_run.science.zero_point import deviant_words
from photoz_run.wording import counted

ODD = np.uint64(0xD6E8FEB86659FD93)
"""An odd number whose multiples spread bits well."""
NOTHING = np.uint64(0x5F3A9C1E7B2D8461)
"""What stands for null."""


@dataclass
class RunProof:
    """The sums of the tiles of a run, and those of the rows of a release as they come."""

    run: FinishedRun
    scan: Scan
    names: Sequence[str]
    """Columns that are compared."""
    kept: PassThrough | None
    """The columns that were taken from the catalogues, if these are at hand."""
    lacking: str
    """Why they are not."""
    seed: np.uint64
    expected: dict[str, NDArray[np.uint64]] = field(default_factory=dict)
    here: dict[str, NDArray[np.uint64]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, run: FinishedRun, provenance: ReleaseProvenance, progress: StepProgress
    ) -> "RunProof":
        """Read all tiles of a run, and what the release took from their catalogues.

        Raises
        ------
        ConfigError
            If its tile files are not what it recorded.
        """
        with (
            TemporaryDirectory() as scratch,
            progress.step("tiles checked", len(run.done)) as tick,
        ):
            scan = scan_tiles(run, Path(scratch), tick)
        kept, lacking = _kept(run, scan, provenance.options.keep)
        names = [*scan.fields.names, *(column.name for column in (kept.fields if kept else ()))]
        proof = cls(run, scan, names, kept, lacking, np.uint64(secrets.randbits(64)))
        with progress.step("tiles summed up", len(run.done)) as tick:
            for tile in run.done:
                number_CN = _numbers(proof.rows(tile), names, proof.seed)
                proof.expected[tile] = number_CN.sum(axis=1, dtype=np.uint64)
                tick(1)
        return proof

    def rows(self, tile: str) -> pa.Table:
        """The rows of a tile that are not left out, as a release has them."""
        rows = self.run.read(tile).replace_schema_metadata()
        left_out = self.scan.duplicates.rows.get(list(self.run.done).index(tile))
        if left_out is not None:
            keep_N = np.ones(len(rows), bool)
            keep_N[left_out] = False
            rows = rows.filter(pa.array(keep_N))
        return plain_rows(self.kept.add(tile, rows) if self.kept else rows)

    def add(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Take the next rows of the release."""
        number_CN = _numbers(batch, self.names, self.seed)
        tiles, place_N = np.unique(batch["KIDS_TILE"].to_numpy(), return_inverse=True)
        order_N = np.argsort(place_N, kind="stable")
        starts = np.searchsorted(place_N[order_N], np.arange(len(tiles)))
        sum_CT = np.add.reduceat(number_CN[:, order_N], starts, axis=1)
        for tile, sum_C in zip(tiles, sum_CT.T, strict=True):
            known_C = self.here.get(str(tile), np.zeros(len(self.names), np.uint64))
            self.here[str(tile)] = known_C + sum_C

    def checks(self, opened: Opened, rows: Mapping[str, int]) -> Iterator[Check]:
        """What was learned; ``rows`` are the rows of each tile in the release."""
        problems: list[str] = []
        for tile in sorted({*self.expected, *self.here}):
            problems += self._problems(opened, tile)
        good = f"{sum(rows.values()):,} rows, {len(self.names)} columns as measured"
        yield verdict("release = run", problems, good)
        if self.lacking:
            yield Check("kept columns = catalogues", None, f"not compared: {self.lacking}")
        statements = list(self._other_statements(opened, rows))
        yield verdict("provenance = run", statements, counted(len(self.run.manifest.tiles), "tile"))
        yield self._check_validation(opened.provenance)
        area = "as its coadds" if opened.provenance.area_deg2 is not None else "not known"
        yield verdict("area = run", list(self._other_area(opened)), area)

    def _problems(self, opened: Opened, tile: str) -> Iterator[str]:
        if tile not in self.expected or tile not in self.here:
            place = "run" if tile in self.here else "release"
            yield f"{tile} has no rows in the {place}"
            return
        differs_C = self.expected[tile] != self.here[tile]
        if differs_C.any():
            yield from _differences(self.rows(tile), parquet_rows(opened.parts), tile)

    def _other_statements(self, opened: Opened, rows: Mapping[str, int]) -> Iterator[str]:
        """What provenance.json says otherwise than the run."""
        stated = opened.provenance
        if stated.model != model_facts(self.run, self.scan):
            yield "the model is another one"
        facts = run_facts(self.run, self.scan)
        if not stated.run.computed_on:  # a release before this was told
            facts = replace(facts, computed_on={})
        if stated.run != facts:
            yield "the run is another one: its program, configuration or digests"
        if {missing.tile: missing.reason for missing in stated.missing} != self.run.missing:
            yield "other tiles are missing, or for other reasons"
        if stated.input_releases != self.run.manifest.data_releases:
            yield "the data releases of its input are others"
        if stated.duplicates.sources != self.scan.duplicates.sources:
            yield f"{self.scan.duplicates.sources:,} sources were measured more than once"
        if stated.deviant != deviant_words(self.run.done):
            yield "other tiles have an unusual zero-point"
        yield from self._other_tiles(stated, rows)

    def _other_tiles(self, stated: ReleaseProvenance, rows: Mapping[str, int]) -> Iterator[str]:
        """What provenance.json says otherwise of tiles."""
        left_out = self.scan.left_out(list(self.run.done))
        try:
            accounts = settle(self.scan.accounts, left_out, rows)
        except ConfigError as error:
            yield str(error).partition(";")[0]
            return
        here = {tile.tile: tile for tile in stated.tiles}
        for name in sorted({*here, *accounts}):
            if name not in here or name not in accounts:
                place = "provenance.json" if name not in here else "the run"
                yield f"{name} is not in {place}"
                continue
            expected = tile_facts(self.run, self.scan, accounts[name])
            if here[name].remarks is None and not same_build(stated):  # before they were told
                expected = replace(expected, remarks=None)
            if here[name] != expected:
                yield f"{name}: {', '.join(_other_fields(here[name], expected))} differ"

    def _check_validation(self, stated: ReleaseProvenance) -> Check:
        """Whether the validation is that of the run; it may have been done anew since."""
        # Here, because it imports the statistics of the validation.
        from photoz_run.release.validated import validation_summary

        problems = []
        if stated.validation and list(stated.validation) != validation_summary(self.run):
            problems.append("it is not the one that lies in the run now")
        good = "as in the run" if stated.validation else "none is stated"
        return verdict("validation = run", problems, good)

    def _other_area(self, opened: Opened) -> Iterator[str]:
        footprints = self.run.footprints
        if (footprints is None) != (opened.provenance.area_deg2 is None):
            yield "it is stated and not known from the run, or known and not stated"
        elif footprints is not None and read_area(opened) != covered_area(footprints):
            yield "the MOC is not that of the coadds"


def _kept(run: FinishedRun, scan: Scan, keep: Sequence[str]) -> tuple[PassThrough | None, str]:
    """What was taken from the catalogues, or why it cannot be read again."""
    if not keep:
        return None, ""
    try:
        return pass_through(run.manifest, list(run.done), keep, scan.fields.names), ""
    except PhotozError as error:
        return None, str(error)


def _numbers(table: pa.Table, names: Sequence[str], seed: np.uint64) -> NDArray[np.uint64]:
    """A number of 64 bits for each value and its ID, [C, N]."""
    id_N = _mixed(id_numbers(table["ID"]) ^ seed)
    number_CN = np.empty((len(names), len(table)), np.uint64)
    for place, name in enumerate(names):
        number_CN[place] = _mixed(id_N + _value_numbers(table[name]) * ODD)
    return number_CN


def _value_numbers(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """A number for each value; equal values have the same, whatever they are made of."""
    if pa.types.is_fixed_size_list(column.type):
        matrix_NQ = quantile_matrix(column)
        bits_NQ = np.where(np.isnan(matrix_NQ), NOTHING, _bits(matrix_NQ))
        number_N = np.zeros(len(matrix_NQ), np.uint64)
        for bits_N in bits_NQ.T:
            number_N = _mixed(number_N + bits_N)
        return number_N
    null_N = column.is_null().to_numpy()
    if is_text(column.type):
        number_N = id_numbers(column)
    else:
        filled = column.combine_chunks().fill_null(0)
        number_N = _bits(filled.to_numpy(zero_copy_only=False))
    return np.where(null_N, NOTHING, number_N)


def _bits(values: NDArray[np.generic]) -> NDArray[np.uint64]:
    if values.dtype.kind == "f":
        return np.ascontiguousarray(values, np.float64).view(np.uint64)
    return values.astype(np.int64).view(np.uint64)


def _mixed(number_N: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers of which each bit depends on many bits of the others."""
    mixed_N = (number_N ^ (number_N >> np.uint64(32))) * ODD
    mixed_N = (mixed_N ^ (mixed_N >> np.uint64(32))) * ODD
    return mixed_N ^ (mixed_N >> np.uint64(32))


def _differences(expected: pa.Table, batches: Iterable[pa.Table], tile: str) -> Iterator[str]:
    """The columns in which the rows of a tile differ, with the ID of the first."""
    parts = [batch.filter(pc.equal(batch["KIDS_TILE"], tile)) for batch in batches]
    here = pa.concat_tables(parts)
    place = pc.index_in(expected["ID"], value_set=here["ID"].combine_chunks())
    lacking = place.null_count
    if lacking or len(here) != len(expected):
        yield f"{tile}: {lacking:,} rows are missing, {len(here) - len(expected) + lacking:,} added"
    common = place.is_valid()
    expected, here = expected.filter(common), here.take(place.filter(common))
    for name in expected.column_names:
        differs_N = unequal(here[name], expected[name])
        if differs_N.any():
            first = here["ID"][int(np.argmax(differs_N))].as_py()
            number = int(differs_N.sum())
            yield f"{tile}: {name} differs in {number:,} rows, the first is {first!r}"


def _other_fields(here: TileFacts, expected: TileFacts) -> list[str]:
    names = [field.name for field in fields(TileFacts)]
    return [name for name in names if getattr(here, name) != getattr(expected, name)]
