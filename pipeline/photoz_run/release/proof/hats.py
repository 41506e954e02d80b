"""The HATS collection of a release: rows, maps, columns and properties."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from numpy.typing import NDArray

from photoz_run.release.proof.check import Check, as_many, proven, verdict
from photoz_run.release.proof.compare import Difference, column_differences, unequal
from photoz_run.release.proof.hats_margin import MarginCopy
from photoz_run.release.proof.hats_partitions import Partition, partitions, read_properties
from photoz_run.release.proof.judge import Beside, Judge
from photoz_run.release.proof.opened import Opened
from photoz_run.release.provenance import ColumnFacts
from photoz_run.release.record import (
    extension_name,
    hats_properties,
    margin_name,
    prefixed,
)
from photoz_run.release.rows import INDEX, parquet_rows
from photoz_run.release.sky import ORDER
from photoz_run.wording import counted

Cells: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""HEALPix cells and how many rows lie in each."""
MAPS = ("skymap.fits", "point_map.fits")
OWN = re.compile(r"hats_\w+|moc_sky_fraction|obs_collection|dataproduct_type")
"""Properties that are the format's own affair."""


class HatsJudge(Judge):
    """Proves the HATS collection."""

    def statements(self) -> Iterator[Check]:
        """Its properties and its lists of files."""
        yield from proven(
            "provenance in HATS", lambda: [check_hats_statements(self.path, self.opened)]
        )

    def columns(self) -> Iterator[Check]:
        """The fields of all its files."""
        yield from proven(
            "columns of HATS", lambda: [check_hats_columns(self.path, self.opened.fields)]
        )

    def copies(self, stack: ExitStack) -> Iterator[Beside]:
        """The rows of its catalogue, and of its margin cache if it has one."""
        provenance = self.opened.provenance
        catalogue = self.path / provenance.name
        margin = self.path / margin_name(provenance.name)
        yield Beside("HATS = Parquet", lambda: HatsCopy(partitions(catalogue)))
        yield Beside("maps of HATS", lambda: MapsCopy(catalogue))
        if provenance.options.margin_arcsec:
            yield Beside("margin cache = Parquet", lambda: MarginCopy(margin))


class ArrowStream:
    """Rows of tables of any size, taken in any number."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables = tables
        self._held: pa.Table | None = None

    def take(self, number: int) -> pa.Table | None:
        """The next ``number`` rows, fewer at the end, ``None`` if there was nothing at all."""
        while self._held is None or len(self._held) < number:
            more = next(self._tables, None)
            if more is None:
                break
            self._held = more if self._held is None else pa.concat_tables([self._held, more])
        if self._held is None:
            return None
        taken, self._held = self._held.slice(0, number), self._held.slice(number)
        return taken

    def rest(self) -> int:
        """How many rows are left; they are read."""
        held = 0 if self._held is None else len(self._held)
        return held + sum(len(table) for table in self._tables)


class HatsCopy:
    """The partitions of the HATS catalogue, one after the other, beside Parquet."""

    def __init__(self, partitions: list[Partition]) -> None:
        self._partitions = partitions
        self._astray: list[str] = []
        self._stream = ArrowStream(self._rows())
        self._difference = Difference()
        self._seen = self._taken = 0

    def _rows(self) -> Iterator[pa.Table]:
        for partition in self._partitions:
            outside = 0
            for table in parquet_rows([partition.path]):
                outside += partition.outside(table)
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
                self._difference.note(name, unequal(rows[name], part[name]), self._seen)
            wrong_index_N = rows[INDEX].to_numpy() != index_N[: len(rows)]
            self._difference.note(INDEX, wrong_index_N, self._seen)
            self._taken += len(rows)
        self._seen += len(batch)

    def checks(self) -> Iterator[Check]:
        """Rows, cells and values."""
        yield as_many("rows of HATS", self._taken + self._stream.rest(), self._seen)
        number = len(self._partitions)
        yield verdict(
            "HATS cells", self._astray, f"{counted(number, 'partition')}, each with its own rows"
        )
        problems = self._difference.problems()
        yield verdict("HATS = Parquet", problems, f"{self._seen:,} rows, value by value")


class MapsCopy:
    """The two maps of the HATS catalogue, which count rows in cells of the sky."""

    def __init__(self, catalogue: Path) -> None:
        order = int(read_properties(catalogue / "hats.properties")["hats_skymap_order"])
        self._shift = 2 * (ORDER - order)
        self._maps = {name: _read_map(catalogue / name) for name in MAPS}
        self._counts: list[Cells] = []

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Count the next rows."""
        self._counts.append(np.unique(index_N >> self._shift, return_counts=True))

    def checks(self) -> Iterator[Check]:
        """The maps that count other rows."""
        expected = _added(self._counts)
        problems = []
        for name, stored in self._maps.items():
            if not all(map(np.array_equal, stored, expected)):
                problems.append(f"{name} counts other rows than there are")
        yield verdict("maps of HATS", problems, " and ".join(MAPS))


def _added(counts: list[Cells]) -> Cells:
    """Counts of several batches as one, in the order of the cells."""
    cells = np.concatenate([np.empty(0, np.int64), *(cell_K for cell_K, _ in counts)])
    numbers = np.concatenate([np.empty(0, np.int64), *(count_K for _, count_K in counts)])
    cell_K, place = np.unique(cells, return_inverse=True)
    return cell_K, np.bincount(place, numbers, len(cell_K)).astype(np.int64)


def _read_map(path: Path) -> Cells:
    """The cells of a map that have rows, and how many."""
    with fits.open(path) as hdus:
        rows = hdus[1].data
        columns = [
            np.asarray(rows.field(k)).ravel().astype(np.int64) for k in range(len(rows.names))
        ]
    # A map lists all cells, or those with rows beside their counts.
    cell_K, count_K = columns if len(columns) > 1 else (np.arange(len(columns[0])), columns[0])
    return cell_K[count_K != 0], count_K[count_K != 0]


def check_hats_statements(folder: Path, opened: Opened) -> Check:
    """Compare properties and metadata with the provenance, lists of files with the files."""
    record, rows = opened.record, opened.provenance.rows
    catalogue = folder / record.name
    present = partitions(catalogue)
    problems = []
    asked = {"collection.properties", *_extension(opened)}
    for name in sorted(asked ^ {path.name for path in folder.glob("*.properties")}):
        problems.append(f"{name} is there unasked, or missing")
    for path in (*folder.glob("*.properties"), *folder.glob("*/*properties")):
        expected = _expected_properties(path, opened, present)
        problems += _wrong_properties(path, expected)
    for path in sorted(folder.glob("*/dataset/**/*")):
        if path.is_file() and _metadata(path) != prefixed(record.texts()):
            problems.append(f"the metadata of {path.relative_to(folder)} are others")
    listed = (catalogue / "partition_info.csv").read_text().split()[1:]
    if sorted(listed) != sorted(f"{partition.order},{partition.cell}" for partition in present):
        problems.append("partition_info.csv lists other partitions than there are")
    if pq.read_metadata(catalogue / "dataset" / "_metadata").num_rows != rows:
        problems.append(f"_metadata counts other rows than {rows:,}")
    return verdict("provenance in HATS", problems, "as in provenance.json")


def _expected_properties(path: Path, opened: Opened, present: list[Partition]) -> dict[str, str]:
    """What a file of properties must say, of a collection, its catalogue or its margin cache."""
    record, margin = opened.record, opened.provenance.options.margin_arcsec
    expected = hats_properties(record)
    if path.name in _extension(opened):
        return expected | _extension(opened)[path.name]
    if path.name == "collection.properties":
        expected |= {"hats_primary_table_url": record.name}
        if margin:
            folders = dict.fromkeys(("all_margins", "default_margin"), margin_name(record.name))
            expected |= folders
        return expected
    expected["hats_cols_default"] = expected["hats_cols_default"].replace(",", " ")
    expected |= {
        "hats_col_ra": "RAJ2000",
        "hats_col_dec": "DECJ2000",
        "hats_col_healpix": INDEX,
        "hats_col_healpix_order": str(ORDER),
        "hats_npix_suffix": ".parquet",
    }
    if path.parent.name == record.name:
        order = max((partition.order for partition in present), default=0)
        catalogue = {"dataproduct_type": "object", "hats_nrows": str(opened.provenance.rows)}
        return expected | catalogue | {"hats_order": str(order)}
    beside = {"dataproduct_type": "margin", "hats_primary_table_url": record.name}
    return expected | beside | {"hats_margin_threshold": str(margin)}


def _extension(opened: Opened) -> dict[str, dict[str, str]]:
    """The file that makes the catalogue an extension, if one was asked for, and what it says."""
    options = opened.provenance.options
    if not options.extends:
        return {}
    stated = {
        "dataproduct_type": "extension",
        "hats_primary_table_url": options.extends,
        "hats_col_assn_primary": options.extends_id,
        "hats_assn_join_table_url": ".",
        "hats_col_assn_join": "ID",
        "hats_ext_join_style": "left",
        "hats_ext_shares_primary_coords": "True",
    }
    return {f"{extension_name(opened.record.name)}.properties": stated}


def _wrong_properties(path: Path, expected: Mapping[str, str]) -> list[str]:
    stored = read_properties(path)
    problems = [
        f"{key} of {path.name} is {stored.get(key)!r}"
        for key, text in expected.items()
        if stored.get(key) != text
    ]
    strange = [key for key in stored if key not in expected and not OWN.fullmatch(key)]
    return problems + [f"{key} of {path.name} is no property of a release" for key in strange]


def _metadata(path: Path) -> dict[str, str]:
    metadata = pq.read_schema(path).metadata or {}
    return {key.decode(): value.decode() for key, value in metadata.items()}


def check_hats_columns(folder: Path, fields: pa.Schema) -> Check:
    """Compare the fields of all files with those of Parquet; they have the index besides."""
    files = sorted(folder.rglob("*.parquet")) + sorted(folder.rglob("_common_metadata"))
    problems = [] if files else [f"{folder.name} holds no Parquet file"]
    for file in files:
        name, present = file.relative_to(folder).as_posix(), pq.read_schema(file)
        if INDEX not in present.names:
            problems.append(f"{name} has no column {INDEX}")
            continue
        own = pa.schema([field for field in present if field.name != INDEX])
        if not own.equals(fields.remove_metadata(), check_metadata=True):
            problems += [f"{name}: {problem}" for problem in _other_fields(own, fields)]
    good = f"{counted(len(fields), 'column')}, alike in {counted(len(files), 'file')}"
    return verdict("columns of HATS", problems, good)


def _other_fields(own: pa.Schema, fields: pa.Schema) -> list[str]:
    if own.names != fields.names:
        return ["other columns than Parquet"]
    problems = []
    for field in own:
        problems += column_differences(field, ColumnFacts.of(fields.field(field.name)))
    return problems
