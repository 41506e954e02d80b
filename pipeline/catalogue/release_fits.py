"""The FITS file of a release: the catalogue, where every row comes from, and the settings in full."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from pipeline.catalogue.fits_cards import Card, add_flags, card, level_comments, provenance_cards
from pipeline.catalogue.fits_columns import fits_columns, text_widths
from pipeline.catalogue.fits_stream import primary_header, records, table_header, write_hdu
from pipeline.catalogue.release_record import ReleaseRecord

NAMED = 20
"""Tiles that are named in cards; all stand in the extensions."""
CARDS = {
    "PROGRAM": ("program", "program that measured the tiles"),
    "PROGVER": ("version", "its version"),
    "INPUTREL": ("release", "releases of the input"),
    "PZMODEL": ("model", "photo-z model"),
    "PZMODVER": ("model_version", "its version"),
    "PZTRAIN": ("model_training", "training set of the model"),
    "PZSIMUL": ("simulated_training", "trained on simulations?"),
    "PZMODSHA": ("model_digest", "sha256 of the model"),
    "PZCFGSHA": ("config_digest", "sha256 of the configuration"),
    "PZRUNSHA": ("run_digest", "sha256 of version, settings, model"),
    "PARTIAL": ("partial", "are tiles of the run missing?"),
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
        If the batches do not have ``rows`` rows, or a text does not fit into its column.
    ConfigError
        If FITS has no type for a column.
    """
    cards = _cards(record)
    columns = fits_columns(arrow, widths)
    header = table_header("PHOTOZ", columns, rows)
    header.extend(cards)
    for comment in level_comments(arrow):
        header.add_comment(comment)
    add_flags(header)
    with path.open("wb") as file:
        write_hdu(file, primary_header(cards))
        write_hdu(file, header, records(batches, columns, rows))
        for name, table in extensions.items():
            own = fits_columns(table.schema, text_widths([table]))
            write_hdu(file, table_header(name.upper(), own, len(table)), records([table], own, len(table)))


def _cards(record: ReleaseRecord) -> list[Card]:
    texts = record.texts()
    return [
        card("OBJECT", record.name, "name of the release"),
        card("DATE", record.date, "when this file was written (UTC)"),
        card("ORIGIN", texts["release_program"].split()[0], "what made this file"),
        card("PROCSOFT", f"{record.program} ({record.commit})", "program that wrote this file, commit"),
        card("RADESYS", "ICRS", "system of the coordinates"),
        card("REFERENC", record.reference, "publication"),
        *provenance_cards(texts, CARDS),
        card("NTILES", record.tiles, "tiles in the catalogue"),
        card("NMISSING", len(record.missing), "tiles without a result"),
        card("NQUARANT", len(record.quarantined), "tiles in quarantine"),
        *(card(f"QUAR{k}", tile, "tile in quarantine") for k, tile in enumerate(record.quarantined[:NAMED], start=1)),
        *(card(f"MISS{k}", tile, "tile without a result") for k, tile in enumerate(record.missing[:NAMED], start=1)),
    ]
