"""The FITS file of a release: the catalogue, its input files, and the settings in full."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from photoz_run.catalogue.arrow_fields import is_text
from photoz_run.catalogue.fits_cards import add_remarks, printable
from photoz_run.catalogue.fits_columns import fits_columns, text_widths
from photoz_run.catalogue.fits_stream import primary_header, records, table_header, write_hdu
from photoz_run.release.draft import Draft, Writer
from photoz_run.release.facts import provenance_table, texts_table
from photoz_run.release.record import ReleaseRecord, release_cards


def write(draft: Draft, path: Path) -> int:
    """Write one FITS table with the provenance and the settings behind it; its number of rows."""
    extensions = {
        "provenance": provenance_table(draft.run, draft.scan, draft.accounts),
        "texts": texts_table(draft.run, draft.scan, draft.accounts),
    }
    buckets = draft.buckets
    with draft.progress.step("rows into FITS", draft.rows) as tick:
        batches = draft.batches(tick)
        write_release_fits(
            path, buckets.fields, draft.rows, batches, draft.record, extensions, buckets.widths
        )
    return draft.rows


WRITER = Writer(".fits", "the catalogue as one table", write, format="fits")


def write_release_fits(
    path: Path,
    arrow: pa.Schema,
    rows: int,
    batches: Iterable[pa.Table],
    record: ReleaseRecord,
    extensions: Mapping[str, pa.Table],
    widths: Mapping[str, int],
) -> None:
    """Write a catalogue, in memory that does not grow; the same arguments give the same bytes.

    Parameters
    ----------
    path
        The file.
    arrow
        The columns.
    rows
        How many rows will come.
    batches
        The rows, in tables of any size.
    record
        What the headers say of the release.
    extensions
        Further tables by name (``provenance``, ``texts``), in this order.
    widths
        Characters of the texts that have no length in the dictionary (`text_widths`).

    Raises
    ------
    BadDataError
        If there are not ``rows`` rows, a value is null in a column that allows none, or a text
        does not fit.
    ConfigError
        If FITS cannot hold a column.
    """
    cards = release_cards(record)
    columns = fits_columns(arrow, widths)
    header = table_header("PHOTOZ", columns, rows)
    header.extend(cards)
    add_remarks(header, arrow)
    with path.open("wb") as file:
        write_hdu(file, primary_header(cards))
        write_hdu(file, header, records(batches, columns, rows))
        for name, table in extensions.items():
            shown = _printable(table)
            own = fits_columns(shown.schema, text_widths([shown]))
            own_header = table_header(name.upper(), own, len(shown))
            write_hdu(file, own_header, records([shown], own, len(shown)))


def _printable(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if is_text(field.type):
            texts = table[field.name].to_pylist()
            shown = [None if text is None else printable(text) for text in texts]
            table = table.set_column(index, field, [pa.array(shown, pa.string())])
    return table
