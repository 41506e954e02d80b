"""The FITS file of a tile: an Arrow table as a binary table, with its provenance in cards."""

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from photoz_run.catalogue.fits_cards import add_remarks, printable, provenance_cards
from photoz_run.catalogue.fits_columns import fits_columns, text_widths
from photoz_run.catalogue.fits_stream import primary_header, records, table_header, write_hdu

CARDS = {
    "PROGRAM": ("program", "program that wrote this file"),
    "PROCSOFT": ("version", "its version"),
    "COMMIT": ("commit", "its git commit"),
    "TILE": ("tile", "tile whose pixels were used"),
    "RELEASE": ("release", "data release of the input"),
    "PZMODEL": ("model", "photo-z model"),
    "PZMODVER": ("model_version", "its version"),
    "PZTRAIN": ("model_training", "training set of the model"),
    "PZSIMUL": ("simulated_training", "trained on simulations?"),
    "PZMODSHA": ("model_digest", ""),
    "PZCFGSHA": ("config_digest", ""),
    "PZRUNSHA": ("run_digest", ""),
    "PZINPSHA": ("inputs_digest", ""),
}
"""Provenance and comment by keyword; a digest leaves no room for a comment."""


def write_fits(table: pa.Table, path: Path, provenance: Mapping[str, str]) -> None:
    """Write ``table`` to ``path``; the same table and provenance give the same bytes.

    Raises
    ------
    BadDataError
        If a value is null in a column that allows none, or a text does not fit in.
    ConfigError
        If FITS cannot hold a column.
    """
    columns = fits_columns(table.schema, text_widths([table]))
    header = table_header("PHOTOZ", columns, len(table))
    header.extend(provenance_cards(provenance, CARDS))
    header.add_history(f"packages {printable(provenance['packages'])}")
    for file in json.loads(provenance["inputs"]):
        header.add_history(f"input {printable(file['name'])} {file['bytes']} bytes")
    add_remarks(header, table.schema)
    with path.open("wb") as file:
        write_hdu(file, primary_header([]))
        write_hdu(file, header, records([table], columns, len(table)))
