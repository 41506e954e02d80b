"""A release as a HATS collection, for LSDB: the catalogue in partitions of similar size, and a margin cache on request.

hats-import does the work, on the Dask client it is given: Dask itself stays with `photoz_run.run`.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from photoz_run import schema
from photoz_run.catalogue.release_record import ReleaseRecord
from photoz_run.catalogue.tile_files import PROVENANCE_KEY

PARTITION_ROWS = 1_000_000
"""Most rows of a partition, held in memory while it is made."""
BATCH = 250_000
"""Rows dealt out at once."""


def write_hats(
    folder: Path,
    parts: Sequence[Path],
    rows: int,
    record: ReleaseRecord,
    margin: float | None,
    scratch: Path,
    client: Any,
) -> None:
    """Write the ``rows`` rows of the Parquet files ``parts`` as a HATS collection.

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
        addl_hats_properties=properties(record),
        progress_bar=False,
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


def margin_name(name: str) -> str:
    """The folder of the margin cache beside the catalogue ``name``."""
    return f"{name}_margin"


def properties(record: ReleaseRecord) -> dict[str, str]:
    """The properties of the collection and of what lies in it: columns to load first, and the provenance."""
    principal = [column.name for column in schema.COLUMNS if column.principal]
    texts = {f"photoz_{key}": value for key, value in record.texts().items() if value}
    return {
        "obs_title": f"Photometric redshifts: {record.name}",
        "hats_cols_default": ",".join(principal),
        **texts,
    }


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Within the block hats does not say that it finds a collection in the making, nor that it must read Parquet."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _name_primary(margin: Path, name: str) -> None:
    """Let the margin cache name the catalogue beside it, where hats-import writes the path at which it was made."""
    from hats.catalog import TableProperties

    known = TableProperties.read_from_dir(margin)
    known.primary_catalog = name
    known.to_properties_file(margin)


def _schema_file(scratch: Path, part: Path, record: ReleaseRecord) -> Path:
    """An empty Parquet file with the columns and the provenance of the release; the partitions take after it.

    The VOTable of VOParquet is left out: a partition has a column more than it describes.
    """
    fields = pq.read_schema(part).remove_metadata()
    texts = {f"{PROVENANCE_KEY.decode()}.{key}": value for key, value in record.texts().items()}
    path = scratch / "schema.parquet"
    pq.write_metadata(pa.schema(list(fields), metadata=texts), path)
    return path
