"""A release as a HATS collection, for LSDB: the catalogue in partitions, a margin cache on request.

hats-import does the work on the Dask client that it is given; only `photoz_run.run` starts Dask.
"""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run import schema
from photoz_run.release.draft import Draft, Writer
from photoz_run.release.record import ReleaseRecord, hats_properties, margin_name, prefixed

WORKERS = 2
"""Processes of hats-import. Each holds a partition while it sorts it, and a release is to fit into
4 GiB."""
PARTITION_ROWS = 1_000_000
"""Most rows of a partition, held in memory while it is made."""
CREATED = re.compile(r"^hats_creation_date=.*$", re.MULTILINE)
"""When hats-import was started."""
BATCH = 250_000
"""Rows that are read at once."""


def write(draft: Draft, path: Path) -> int:
    """Write the HATS collection; the number of rows in its catalogue."""
    scratch = draft.scratch / "hats"
    scratch.mkdir()
    margin = draft.options.margin
    with (
        draft.progress.step("rows into HATS", draft.rows),
        draft.clients(WORKERS) as client,
    ):
        write_hats(path, draft.parts, draft.rows, draft.record, margin, scratch, client)
    return draft.rows


WRITER = Writer("_hats", "the catalogue in HATS partitions, for LSDB", write, format="hats")


def write_hats(
    folder: Path,
    parts: Sequence[Path],
    rows: int,
    record: ReleaseRecord,
    margin: float | None,
    scratch: Path,
    client: Any,
) -> None:
    """Write the rows of the Parquet files ``parts`` as a HATS collection.

    Parameters
    ----------
    folder
        The collection; the catalogue lies in it under the name of the release.
    parts
        Parquet files of the release.
    rows
        How many rows they have together.
    record
        What the collection says of itself.
    margin
        Width of the margin cache in arcsec, ``None`` for no margin cache.
    scratch
        Folder for intermediate files; as large as the rows are.
    client
        Dask client whose workers do the work.
    """
    from hats_import.catalog.file_readers.parquet import ParquetPyarrowReader
    from hats_import.collection import CollectionArguments
    from hats_import.collection import run as import_collection

    arguments = CollectionArguments(
        output_path=folder.parent,
        output_artifact_name=folder.name,
        tmp_dir=scratch,
        addl_hats_properties=hats_properties(record),
        progress_bar=False,
        write_table_kwargs={"write_page_checksum": True},
    ).catalog(
        output_artifact_name=record.name,
        input_file_list=list(parts),
        file_reader=ParquetPyarrowReader(chunksize=BATCH),
        ra_column=schema.with_ucd("pos.eq.ra;meta.main").name,
        dec_column=schema.with_ucd("pos.eq.dec;meta.main").name,
        sort_columns=schema.with_ucd("meta.id;meta.main").name,
        use_schema_file=_schema_file(scratch, parts[0], record),
        expected_total_rows=rows,
        pixel_threshold=PARTITION_ROWS,
    )
    if margin is not None:
        arguments.add_margin(
            output_artifact_name=margin_name(record.name), margin_threshold=margin, is_default=True
        )
    with _without_remarks():
        import_collection(arguments, client)
    if margin is not None:
        _name_primary(folder / margin_name(record.name), record.name)
    _set_date(folder, record.date)


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Silence what hats says of every collection: that it is not whole yet, that it is Parquet."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _name_primary(margin: Path, name: str) -> None:
    """Let the margin cache name the catalogue beside it.

    hats-import writes the path at which the catalogue was made, which exists no longer.
    """
    from hats.catalog import TableProperties

    properties = TableProperties.read_from_dir(margin)
    properties.primary_catalog = name
    properties.to_properties_file(margin)


def _set_date(folder: Path, date: str) -> None:
    """Let the properties tell the release's date, so that the same release has the same bytes."""
    for path in (folder / "collection.properties", *folder.glob("*/*properties")):
        path.write_text(CREATED.sub(f"hats_creation_date={date[:16]}UTC", path.read_text()))


def _schema_file(scratch: Path, part: Path, record: ReleaseRecord) -> Path:
    """An empty Parquet file with the columns and the provenance that every partition is to have.

    The VOTable of VOParquet is left out: a partition has one column more than it describes.
    """
    fields = pq.read_schema(part).remove_metadata()
    path = scratch / "schema.parquet"
    pq.write_metadata(pa.schema(list(fields), metadata=prefixed(record.texts())), path)
    return path
