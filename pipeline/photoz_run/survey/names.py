"""The names of KiDS files and tiles.

A file name says release, tile, band and product: ``KiDS_DR5.0_180.0_-0.5_r_sci.fits``. The tile name is rounded to
0.1 deg and never used as geometry. Names without a tile (``KiDS_DR4.0_ugriZYJHKs_cat.fits``), the detection images
(``_r_det_sci``), the multi-band masks and older releases are not ours to read and give ``None``.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from photoz_run.errors import ConfigError

COMPRESSIONS = ("", ".fz", ".gz")

_FILE = re.compile(
    r"KiDS_DR(?P<data_release>[45]\.\d+)_(?P<ra>\d+\.\d)_(?P<dec>-?\d+\.\d)_(?P<rest>[A-Za-z0-9_]+)\.fits(?:\.fz|\.gz)?"
)
_IMAGE = re.compile(r"(?P<band>[a-z]\d?)_(?P<product>sci|wei|msk)")
_CATALOGUE = re.compile(r"[A-Za-z0-9]+_cat")
_TILE = re.compile(r"KIDS_(?P<ra>\d+\.\d)_(?P<dec>-?\d+\.\d)")
_TILE_OTHER_SPELLING = re.compile(r"KIDS_(?P<ra>\d+p\d)_(?P<dec>m?\d+p\d)")


@dataclass(frozen=True)
class FileName:
    """What the name of a survey file says; ``band`` is empty for a catalogue."""

    data_release: str
    tile: str
    product: str
    band: str = ""


def parse_file_name(path: Path) -> FileName | None:
    """Read a KiDS file name; ``None`` for a file that is not a coadd, weight, flag image or catalogue of a tile."""
    match = _FILE.fullmatch(path.name)
    if match is None:
        return None
    data_release, tile = f"DR{match['data_release']}", tile_name(match["ra"], match["dec"])
    if image := _IMAGE.fullmatch(match["rest"]):
        return FileName(data_release, tile, image["product"], image["band"])
    if _CATALOGUE.fullmatch(match["rest"]):
        return FileName(data_release, tile, "cat")
    return None


def tile_name(ra: str, dec: str) -> str:
    """The tile's name from the two numbers of a file name, ``KIDS_180.0_-0.5``."""
    return f"KIDS_{ra}_{dec}"


def canonical_tile_name(name: str) -> str:
    """Bring a tile name of either spelling, blank padded or not, to ``KIDS_180.0_-0.5``.

    Raises
    ------
    ConfigError
        If ``name`` is neither ``KIDS_13.5_-28.2`` nor ``KIDS_13p5_m28p2``.
    """
    stripped = name.strip()
    if _TILE.fullmatch(stripped):
        return stripped
    if match := _TILE_OTHER_SPELLING.fullmatch(stripped):
        return tile_name(
            match["ra"].replace("p", "."), match["dec"].replace("p", ".").replace("m", "-")
        )
    raise ConfigError(
        f"{name!r} is not a tile name; tiles are called like KIDS_180.0_-0.5 or KIDS_13p5_m28p2"
    )


def image_name(data_release: str, tile: str, band: str, product: str, compression: str = "") -> str:
    """The name of an image file, for instance ``KiDS_DR5.0_180.0_-0.5_i2_sci.fits``; ``data_release`` is ``DR5.0``."""
    return f"KiDS_{data_release}_{tile.removeprefix('KIDS_')}_{band}_{product}.fits{compression}"


def catalogue_name(data_release: str, tile: str, band_list: str) -> str:
    """The name of a tile's multi-band catalogue; ``band_list`` is ``ugriZYJHKs`` (DR4) or ``ugri1i2ZYJHKs`` (DR5)."""
    return f"KiDS_{data_release}_{tile.removeprefix('KIDS_')}_{band_list}_cat.fits"
