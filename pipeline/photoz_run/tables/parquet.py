"""A Parquet file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run.tables.refusals import explained
from photoz_run.tables.table import Table

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
        """The field, with those of its facts that are text."""
        field = self._facts()[0].field(name)
        said = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        return field.with_metadata({key: said[key] for key in FACTS if said.get(key)})

    def stored_parts(self, names: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """Batches of at most ``rows`` rows."""
        # With memory_map a damaged page could end the process.
        with explained(self.path, self.container), pq.ParquetFile(self.path) as file:
            schema = file.schema_arrow
            for batch in file.iter_batches(batch_size=rows, columns=list(names)):
                part = pa.Table.from_batches([batch])
                yield pa.table({name: part[name] for name in names} or {}, metadata=schema.metadata)

    def _facts(self) -> tuple[pa.Schema, int]:
        if self._opened is None:
            with explained(self.path, self.container), pq.ParquetFile(self.path) as file:
                self._opened = file.schema_arrow, file.metadata.num_rows
        return self._opened
