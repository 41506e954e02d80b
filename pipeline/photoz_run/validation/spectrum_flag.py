"""``spectrum_flag.parquet``: which sources of a catalogue no spectrum is like, for its release."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from photoz_models.whole_files import written_whole
from photoz_run.catalogue.stated import KEY
from photoz_run.validation.catalogue import Catalogue, read_catalogue
from photoz_run.validation.representative import Likeness
from photoz_run.validation.settings import ValidationSettings

NAME = "spectrum_flag.parquet"
COLUMN = "NO_SPECTRUM"
CHUNK = 100_000
"""Sources whose magnitudes are in memory at once."""
DESCRIPTION = "1: no spectrum is like this source, 0: one is, null: not known"
SCHEMA = pa.schema(
    [
        pa.field("ID", pa.string()),
        pa.field("RAJ2000", pa.float64(), metadata={"unit": "deg"}),
        pa.field("DECJ2000", pa.float64(), metadata={"unit": "deg"}),
        pa.field(COLUMN, pa.int16(), metadata={"description": DESCRIPTION, "ucd": "meta.code"}),
    ]
)


def write_spectrum_flag(
    path: Path, settings: ValidationSettings, likeness: Likeness, run_digest: str, out: Path
) -> None:
    """Write the flag of every source of the catalogue at ``path``, a chunk at a time.

    `photoz release --attach` takes it by ID or, where the catalogue has none, by position.
    """
    catalogue, _ = read_catalogue(path, settings)
    facts = {"run_digest": run_digest, "compared_in": ", ".join(likeness.columns)}
    schema = SCHEMA.with_metadata({KEY + name: text for name, text in facts.items()})
    with written_whole(out) as beside, pq.ParquetWriter(beside, schema) as writer:
        for rows in _flagged(catalogue, likeness):
            writer.write_table(rows.replace_schema_metadata(schema.metadata))


def _flagged(catalogue: Catalogue, likeness: Likeness) -> Iterator[pa.Table]:
    for start in range(0, len(catalogue), CHUNK):
        index_K = np.arange(start, min(start + CHUNK, len(catalogue)))
        columns = catalogue.columns_of(index_K, [*catalogue.key, *likeness.columns])
        lacking_K = likeness.lacking(columns)
        ids = columns[catalogue.key[0]].astype(str) if catalogue.key else [None] * len(index_K)
        yield pa.table(
            [
                pa.array(ids, pa.string()),
                columns["RA"],
                columns["DEC"],
                pa.array(lacking_K, mask=np.isnan(lacking_K)).cast(pa.int16()),
            ],
            schema=SCHEMA,
        )
