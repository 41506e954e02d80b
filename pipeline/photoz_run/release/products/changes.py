"""The sources that a release adds, changes or removes beside an older one, as one Parquet file."""

from pathlib import Path

import pyarrow.parquet as pq

from photoz_run.catalogue.table import dictionary_schema
from photoz_run.release.changes import ENDING, changed_sources
from photoz_run.release.draft import Draft, Writer
from photoz_run.release.options import ReleaseOptions


def write(draft: Draft, path: Path) -> int:
    """Write a row for each source that differs; how many there are."""
    fields = dictionary_schema("changes").with_metadata(draft.record.metadata())
    old = draft.older
    total = draft.rows + old.provenance.rows
    written = 0
    with (
        draft.progress.step("rows compared with the older release", total) as tick,
        pq.ParquetWriter(path, fields, compression="zstd", write_page_checksum=True) as writer,
    ):
        for table in changed_sources(old.parts, draft.parts, draft.scratch / "changes", tick):
            draft.changes.add(table)
            writer.write_table(table.cast(fields))
            written += len(table)
    return written


def _wanted(options: ReleaseOptions) -> bool:
    return options.update is not None


WRITER = Writer(ENDING, "sources added, changed and removed", write, wanted=_wanted)
