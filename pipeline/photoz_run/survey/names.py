"""The names of KiDS files and tiles.

A file name says release, tile, band and product: ``KiDS_DR5.0_180.0_-0.5_r_sci.fits``. The tile
name is rounded to 0.1 deg and never used as geometry. Names without a tile
(``KiDS_DR4.0_ugriZYJHKs_cat.fits``), the detection images (``_r_det_sci``), the multi-band masks
and older releases are not ours to read and give ``None``.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern

from photoz_run.errors import ConfigError

COMPRESSIONS = ("", ".fz", ".gz", ".bz2", ".fz.gz", ".fz.bz2")
"""What may follow ``.fits``, the quickest to read first; a hint, files are read by content."""

_COPY = r"(?: ?\(\d+\)|\.\d+)?"
"""What browsers and wget add to the name of a file that is there already."""

_FILE = re.compile(
    r"KiDS_DR(?P<data_release>[45]\.\d+)_(?P<ra>\d+\.\d)_(?P<dec>-?\d+\.\d)_(?P<rest>[A-Za-z0-9_]+)"
    rf"(?P<early_copy> ?\(\d+\))?\.fits(?P<compression>(?:\.fz)?(?:\.gz|\.bz2)?)(?P<copy>{_COPY})"
)
_IMAGE = re.compile(r"(?P<band>[a-z]\d?)_(?P<product>sci|wei|msk)")
_CATALOGUE = re.compile(r"[A-Za-z0-9]+_cat")
_ARCHIVE_FILE = re.compile(rf"ADP\.\d{{4}}-.*\.fits(\.fz)?(\.gz|\.bz2)?{_COPY}")

_TILE_AS_TYPED = re.compile(
    r"(?:KIDS_|KIDS)?(?:DR[45]\.\d_)?(?P<ra>\d+(?:[.p]\d)?)[_ ](?P<dec>[-+m]?\d+(?:[.p]\d)?)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class FileName:
    """What the name of a survey file says; ``band`` is empty for a catalogue.

    ``compression`` is what follows ``.fits``; ``copy`` what a browser added, as in
    ``name.fits (1)``.
    """

    data_release: str
    tile: str
    product: str
    band: str = ""
    compression: str = field(default="", compare=False)
    copy: str = field(default="", compare=False)


def parse_file_name(path: Path) -> FileName | None:
    """Read a KiDS file name.

    ``None`` for a file that is not a coadd, weight, flag image or catalogue of a tile.
    """
    match = _FILE.fullmatch(path.name)
    if match is None:
        return None
    # Thousands of files have few releases and tiles among them.
    data_release, tile = (
        intern(f"DR{match['data_release']}"),
        intern(tile_name(match["ra"], match["dec"])),
    )
    compression = match["compression"]
    copy = match["early_copy"] or match["copy"] or ""
    if image := _IMAGE.fullmatch(match["rest"]):
        return FileName(
            data_release, tile, image["product"], image["band"], compression, copy.strip()
        )
    if _CATALOGUE.fullmatch(match["rest"]):
        return FileName(data_release, tile, "cat", "", compression, copy.strip())
    return None


def is_archive_name(path: Path) -> bool:
    """Whether a file is called as in ESO's archive: the survey's name is in its header."""
    return _ARCHIVE_FILE.fullmatch(path.name) is not None


def tile_name(ra: str, dec: str) -> str:
    """The tile's name from the two numbers of a file name, ``KIDS_180.0_-0.5``."""
    return f"KIDS_{ra}_{dec}"


def tile_centre(tile: str) -> tuple[float, float]:
    """Right ascension and declination (deg) in a tile's name, rounded to 0.1: never geometry."""
    ra, dec = tile.split("_")[1:]
    return float(ra), float(dec)


def canonical_tile_name(name: str) -> str:
    """Bring a tile name as people type it to ``KIDS_180.0_-0.5``.

    ``kids_180.0_-0.5``, ``KIDS_180p0_m0p5``, ``180.0_-0.5``, ``180_-0.5``, ``KIDS_181.0_+0.5``, and
    the
    name of one of its files.

    Raises
    ------
    ConfigError
        If ``name`` is none of these.
    """
    stripped = name.strip()
    file = parse_file_name(Path(stripped))
    if file is not None:
        return file.tile
    match = _TILE_AS_TYPED.fullmatch(stripped)
    if match is None:
        raise ConfigError(
            f"{name!r} is not a tile name; tiles are called like KIDS_180.0_-0.5 or KIDS_13p5_m28p2"
        )
    ra, dec = (match[part].lower().replace("p", ".") for part in ("ra", "dec"))
    dec = dec.replace("m", "-").lstrip("+")
    return tile_name(*(part if "." in part else f"{part}.0" for part in (ra, dec)))


def image_name(data_release: str, tile: str, band: str, product: str, compression: str = "") -> str:
    """The name of an image file, for instance ``KiDS_DR5.0_180.0_-0.5_i2_sci.fits``."""
    return f"KiDS_{data_release}_{tile.removeprefix('KIDS_')}_{band}_{product}.fits{compression}"


def catalogue_name(data_release: str, tile: str, band_list: str) -> str:
    """The name of a tile's multi-band catalogue.

    ``band_list`` is ``ugriZYJHKs`` (DR4) or ``ugri1i2ZYJHKs`` (DR5).
    """
    return f"KiDS_{data_release}_{tile.removeprefix('KIDS_')}_{band_list}_cat.fits"
