"""The FITS file of a release: the catalogue, where every row comes from, and the settings in full."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from photoz_run.catalogue.arrow_fields import is_text
from photoz_run.catalogue.fits_cards import Card, add_remarks, card, printable, provenance_cards
from photoz_run.catalogue.fits_columns import fits_columns, text_widths
from photoz_run.catalogue.fits_stream import primary_header, records, table_header, write_hdu
from photoz_run.catalogue.release_record import ReleaseRecord

NAMED = 20
"""Absent tiles that are named in cards; all of them stand in the table of provenance."""
CARDS = {
    "DATE": ("release_date", "when this was written (UTC)"),
    "ORIGIN": ("origin", "who answers for it"),
    "REFERENC": ("reference", "bibcode or DOI of the publication"),
    "PROGRAM": ("program", "program that measured the tiles"),
    "PROGVERS": ("version", "its version"),
    "COMMIT": ("commit", "its git commit"),
    "INPUTREL": ("release", "releases of the input"),
    "PZMODEL": ("model", "photo-z model"),
    "PZMODVER": ("model_version", "its version"),
    "PZTRAIN": ("model_training", "training set of the model"),
    "PZSIMUL": ("simulated_training", "trained on simulations?"),
    "PZMODSHA": ("model_digest", ""),
    "PZCFGSHA": ("config_digest", ""),
    "PZRUNSHA": ("run_digest", ""),
    "PARTIAL": ("partial", "do tiles of the run lack?"),
}


def write_release_fits(
    path: Path,
    arrow: pa.Schema,
    rows: int,
    batches: Iterable[pa.Table],
    record: ReleaseRecord,
    extensions: Mapping[str, pa.Table],
    widths: Mapping[str, int],
) -> None:
    """Write ``rows`` rows that come in ``batches`` of any size; memory does not grow with their number.

    ``extensions`` are further tables by name (``provenance``, ``texts``), in this order. ``widths`` are the characters
    of texts that have no length in the dictionary (`text_widths`). The same arguments give the same bytes.

    Raises
    ------
    BadDataError
        If the batches do not have ``rows`` rows, a value is null that must not be, or a text does not fit.
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
            write_hdu(
                file, table_header(name.upper(), own, len(shown)), records([shown], own, len(shown))
            )


def release_cards(record: ReleaseRecord) -> list[Card]:
    """What the headers of the first two HDUs say of the release."""
    return [
        card("OBJECT", record.name, "name of the release"),
        card("RADESYS", "ICRS", "system of the coordinates"),
        card("PROCSOFT", f"{record.program} ({record.commit})", "program that merged, commit"),
        *provenance_cards(record.texts(), CARDS),
        card("NTILES", record.tiles, "tiles in the catalogue"),
        *_absent("QUAR", record.quarantined, "in quarantine"),
        *_absent("MISS", record.missing, "without a result"),
    ]


def _absent(keyword: str, tiles: tuple[str, ...], why: str) -> list[Card]:
    """How many tiles are not in the catalogue, and the first of them."""
    named = [
        card(f"{keyword}{k}", tile, f"tile {why}") for k, tile in enumerate(tiles[:NAMED], start=1)
    ]
    return [card(f"N{keyword}", len(tiles), f"tiles {why}"), *named]


def _printable(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if is_text(field.type):
            texts = [
                None if text is None else printable(text) for text in table[field.name].to_pylist()
            ]
            table = table.set_column(index, field, [pa.array(texts, pa.string())])
    return table
