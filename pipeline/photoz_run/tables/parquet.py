"""A Parquet file."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run.tables.parquet_facts import FileFacts, file_facts
from photoz_run.tables.refusals import explained
from photoz_run.tables.systems import Stated
from photoz_run.tables.table import Range, Table

FACTS = ("unit", "ucd", "description", "levels")


def open_parquet(path: Path) -> list[Table]:
    """The table of a Parquet file."""
    return [ParquetTable(path)]


class ParquetTable(Table):
    """The rows of one Parquet file."""

    container = "Parquet file"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._opened: tuple[pa.Schema, int] | None = None

    def __len__(self) -> int:
        return self._facts()[1]

    def stored_names(self) -> Sequence[str]:
        """The columns of the schema."""
        return list(self._facts()[0].names)

    def stored_field(self, name: str) -> pa.Field:
        """The field, with those of its facts that are text; its unit by the file, if need be."""
        field = self._facts()[0].field(name)
        said = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        said = {"unit": self._said.units.get(name, "")} | said
        return field.with_metadata({key: said[key] for key in FACTS if said.get(key)})

    def stated_system(self, name: str) -> Stated:
        """By the VOTable or the SkyCoord within its metadata."""
        return self._said.systems.of(name)

    def stored_parts(
        self, names: Sequence[str], rows: int, within: Range | None
    ) -> Iterator[pa.Table]:
        """Batches of at most ``rows`` rows, from the row groups that may have some in the range."""
        # With memory_map a damaged page could end the process.
        # A flipped bit in a page of floats is found by its checksum alone, where it has one.
        # Read ahead, every row group that was read would stay in memory to the end.
        options = {"page_checksum_verification": True, "pre_buffer": False}
        with (
            explained(self.path, self.container),
            pq.ParquetFile(self.path, **options) as file,
        ):
            groups = _groups(file.metadata, within)
            if not groups:
                return
            for batch in file.iter_batches(batch_size=rows, row_groups=groups, columns=list(names)):
                part = pa.Table.from_batches([batch])
                yield part.select(list(names))

    @cached_property
    def _said(self) -> FileFacts:
        with explained(self.path, self.container):
            return file_facts(self._facts()[0].metadata or {})

    def _facts(self) -> tuple[pa.Schema, int]:
        if self._opened is None:
            with explained(self.path, self.container), pq.ParquetFile(self.path) as file:
                self._opened = file.schema_arrow, file.metadata.num_rows
        return self._opened


def _groups(metadata: pq.FileMetaData, within: Range | None) -> list[int]:
    """The row groups that may hold values in a range, by their statistics."""
    everything = list(range(metadata.num_row_groups))
    if within is None:
        return everything
    name, least, greatest = within
    paths = [metadata.schema.column(k).path for k in range(metadata.num_columns)]
    if name not in paths:
        return everything
    place = paths.index(name)
    return [
        k for k in everything if _may_hold(metadata.row_group(k).column(place), least, greatest)
    ]


def _may_hold(chunk: pq.ColumnChunkMetaData, least: float, greatest: float) -> bool:
    found = chunk.statistics
    if found is None or not found.has_min_max or not isinstance(found.min, int | float):
        return True
    return bool(found.min <= greatest and found.max >= least)
