"""What can be wrong with the files of a tile, and what an operator must be told of it."""

from pathlib import Path
from typing import Any

import numpy as np

from support.tiles import (
    Tile,
    change_rows,
    drop_column,
    read_image,
    set_cards,
    set_pixels,
    strip_wcs,
    truncate,
    write_image,
)


def repeat_an_id(rows):
    rows["ID"][5] = rows["ID"][6]


def lose_a_position(rows):
    rows["RAJ2000"][5] = np.nan


def move_away(rows):
    rows["DECJ2000"] += 1.5


def lose_a_row_of_pixels(tile: Tile) -> None:
    write_image(tile.image("i", "wei"), read_image(tile.image("i", "wei"))[0][:-1])


def replace_column(path: Path, name: str, kind: Any, value: Any) -> None:
    """Give a column of a catalogue another type."""

    def change(rows):
        types = [(old, kind if old == name else rows.dtype[old]) for old in rows.dtype.names]
        changed = np.zeros(len(rows), types)
        for old in rows.dtype.names:
            changed[old] = value if old == name else rows[old]
        return changed

    change_rows(path, change)


def write_card(path: Path, name: str, value: str, which: int = 0) -> None:
    """Write a card over, without a library that would refuse it; the ``which``-th of its name."""
    content = bytearray(path.read_bytes())
    starts = [at for at in range(0, len(content), 80) if content[at : at + 8] == name.encode()]
    content[starts[which] + 10 : starts[which] + 80] = value.rjust(20).ljust(70).encode()
    path.write_bytes(content)


def text_in(path: Path) -> None:
    path.write_text("<html>404: not found</html>\n" * 200)


FAULTS = {
    # name: (what is done to a good tile, ending of its images, what the operator must be told)
    "truncated": (
        lambda t: truncate(t.image("g"), 0.6),
        "",
        r"_g_sci\.fits: truncated, [\d,]+ bytes where .*[\d,]+",
    ),
    "truncated fz": (
        lambda t: truncate(t.image("r"), 0.6),
        ".fz",
        r"_r_sci\.fits\.fz: not a readable FITS file",
    ),
    "truncated gz": (
        lambda t: truncate(t.image("u"), 0.6),
        ".gz",
        r"_u_sci\.fits\.gz: the gzip stream is damaged",
    ),
    "truncated catalogue": (lambda t: truncate(t.catalogue, 0.5), "", r"_cat\.fits: "),
    "text": (lambda t: text_in(t.image("i")), "", r"_i_sci\.fits: not a readable FITS file"),
    "empty file": (lambda t: t.image("r").write_bytes(b""), "", r"_r_sci\.fits: "),
    "no wcs": (
        lambda t: strip_wcs(t.image("g")),
        "",
        r"_g_sci\.fits: the header has no celestial WCS",
    ),
    "pixel scale": (
        lambda t: set_cards(t.image("r"), CD1_1=-0.213 / 3600, CD2_2=0.213 / 3600),
        "",
        r"_r_sci\.fits: pixel scale is 0\.2130 x 0\.2130",
    ),
    "nan image": (
        lambda t: set_pixels(t.image("u"), lambda _: np.nan),
        "",
        r"_u_sci\.fits: no finite pixel",
    ),
    "constant image": (
        lambda t: set_pixels(t.image("u"), lambda _: 7.0),
        "",
        r"_u_sci\.fits: .*is 7.*constant",
    ),
    "zero-point 30": (
        lambda t: set_pixels(t.image("i"), lambda pixels: pixels * 1e12),
        "",
        r"i pixels are -\d+\.\d mag off the catalogue's magnitudes",
    ),
    "no column": (
        lambda t: drop_column(t.catalogue, "MAG_GAAP_H"),
        "",
        r"_cat\.fits: no column MAG_GAAP_H",
    ),
    "duplicate ids": (
        lambda t: change_rows(t.catalogue, repeat_an_id),
        "",
        r"_cat\.fits: IDs .* more than once: 1",
    ),
    "nan position": (
        lambda t: change_rows(t.catalogue, lose_a_position),
        "",
        r"_cat\.fits: 1 of 40 positions",
    ),
    "other field": (
        lambda t: change_rows(t.catalogue, move_away),
        "",
        r"_cat\.fits: 40 of 40 sources lie outside the coadds",
    ),
    "no coadd": (lambda t: t.image("g").unlink(), "", r"the tile has no g coadd"),
    "no catalogue": (lambda t: t.catalogue.unlink(), "", r"the tile has no catalogue"),
    "weight of another shape": (
        lose_a_row_of_pixels,
        "",
        r"_i_wei\.fits: shape \(199, 206\) differs from \(200, 206\)",
    ),
    "vectors": (
        lambda t: replace_column(t.catalogue, "MAG_GAAP_u", ("f4", 3), 20),
        "",
        r"column MAG_GAAP_u holds lists of 3, where one value a row is expected",
    ),
    "texts": (
        lambda t: replace_column(t.catalogue, "MAG_AUTO", "S8", b"abc"),
        "",
        r"column MAG_AUTO holds text \('abc'\), where a number is expected",
    ),
    "mask beyond 64 bits": (
        lambda t: replace_column(t.catalogue, "MASK", "f8", 1e300),
        "",
        r"column MASK holds floating-point numbers beyond 2\^53, which have lost their last digits",
    ),
    "absurd rows": (
        lambda t: write_card(t.catalogue, "NAXIS2  ", "999999999999999"),
        "",
        r"_cat\.fits: not a readable FITS file \(data of [\d,]+ bytes\)",
    ),
    "too many rows": (
        lambda t: write_card(t.catalogue, "NAXIS2  ", "9999999"),
        "",
        r"_cat\.fits: it ends in row \d+ of 9,999,999: truncated",
    ),
    "negative rows": (
        lambda t: write_card(t.catalogue, "NAXIS2  ", "-5"),
        "",
        r"_cat\.fits: not a readable FITS file \(NAXIS2 is -5\)",
    ),
    "short rows": (
        lambda t: write_card(t.catalogue, "NAXIS1  ", "5"),
        "",
        r"column RAJ2000 ends in byte [\d,]+ of rows of 5; its header is damaged",
    ),
    "a name that does not end": (
        lambda t: write_card(t.catalogue, "EXTNAME ", "'OBJECTS"),
        "",
        r"_cat\.fits: not a readable FITS file \(Unparsable card \(EXTNAME\)",
    ),
    "absurd column": (
        lambda t: write_card(t.catalogue, "TFORM2  ", "'999999999999999E'"),
        "",
        r"ends in byte [\d,]+ of rows of [\d,]+; its header is damaged",
    ),
    "a number as CTYPE": (
        lambda t: write_card(t.image("g"), "CTYPE1  ", "5"),
        "",
        r"_g_sci\.fits: the WCS cannot be read \(CTYPE1 is 5, where a word is expected\)",
    ),
    "absurd WCSAXES": (
        lambda t: set_cards(t.image("g"), WCSAXES=10**6),
        "",
        r"_g_sci\.fits: the WCS cannot be read \(WCSAXES is 1000000\)",
    ),
    "absurd ZTILE": (
        lambda t: write_card(t.image("g"), "ZTILE2  ", "999999999999"),
        ".fz",
        r"_g_sci\.fits\.fz: rows \d+ to \d+ cannot be unpacked .*too large",
    ),
    "absurd ZNAXIS": (
        lambda t: write_card(t.image("g"), "ZNAXIS2 ", "199999"),
        ".fz",
        r"_g_sci\.fits\.fz: not a readable FITS file \(210 tiles where the image has 199999\)",
    ),
    "damaged weight": (
        lambda t: truncate(t.image("g", "wei"), 0.5),
        "",
        r"_g_wei\.fits: truncated",
    ),
}
