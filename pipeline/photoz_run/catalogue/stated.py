"""What a file of this program states of its own making: read again, from any of its containers."""

from collections.abc import Mapping
from pathlib import Path

import fitsio
import pyarrow.parquet as pq

from photoz_run.catalogue.fits_table import CARDS
from photoz_run.catalogue.tile_files import PROVENANCE_KEY
from photoz_run.tables.refusals import explained

KEY = PROVENANCE_KEY.decode() + "."


def stated_facts(file: Path) -> Mapping[str, str]:
    """The provenance in a tile file or a release; empty for a file of another program.

    Parameters
    ----------
    file
        One Parquet or FITS file.

    Returns
    -------
    Texts by the names of `Provenance`. FITS cuts long ones short.
    """
    with explained(file, "table"):
        if file.suffix == ".parquet":
            return _of_parquet(file)
        if file.suffix == ".fits":
            return _of_fits(file)
    return {}


def _of_parquet(file: Path) -> Mapping[str, str]:
    metadata = pq.read_schema(file).metadata or {}
    texts = {key.decode(): value.decode(errors="replace") for key, value in metadata.items()}
    ours = (key for key in texts if key.startswith(KEY))
    return {key.removeprefix(KEY): texts[key] for key in ours}


def _of_fits(file: Path) -> Mapping[str, str]:
    """The cards stand in the header of the table; in a release also in the primary one."""
    with fitsio.FITS(file) as opened:
        headers = [hdu.read_header() for hdu in opened[:2]]
    cards = {name: str(header[name]) for header in headers for name in CARDS if name in header}
    return {CARDS[name][0]: value for name, value in cards.items()}
