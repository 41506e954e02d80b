"""DMAG, the zero-point correction of a tile and band: under which key it stands, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from astropy.io import fits

from photoz_run.errors import BadDataError, PhotozError
from photoz_run.images.header import card_value, number
from photoz_run.images.opening import image_header
from photoz_run.reading import explained
from photoz_run.records import TileRef

EPOCHS = {"i": ("I1", "I"), "i2": ("I2",)}
"""Image -> its names in keys; DR5's list of zero-points calls the images i and i2 by i1 and i2."""

CARDS_SHOWN = 3


@dataclass(frozen=True)
class Dmag:
    """DMAG (mag) of an image, and the card that told it, such as ``DMAG_I1 of the catalogue``."""

    value: float
    card: str


def dmag_keys(image: str) -> tuple[str, ...]:
    """The keys of an image's DMAG, best first; in files they stand in upper or lower case."""
    names = EPOCHS.get(image, (image.upper(),))
    return tuple(f"DMAG_{name}{end}" for end in ("", "_1") for name in names)


def find_dmag(
    header: fits.Header, catalogue: fits.Header, image: str, missing_dmag: str = "quarantine"
) -> Dmag:
    """DMAG from the header of the coadd, else of the catalogue.

    Raises
    ------
    BadDataError
        If neither has it as a number, unless ``missing_dmag`` is ``zero``.
    """
    keys = dmag_keys(image)
    no_numbers = []
    for place, source, names in (
        ("coadd", header, ("DMAG", *keys)),
        ("catalogue", catalogue, keys),
    ):
        in_file = {key.upper(): key for key in source if key.upper().startswith("DMAG")}
        for name in names:
            if name not in in_file:
                continue
            value = number(source, in_file[name])
            if value is not None:
                return Dmag(value, f"{in_file[name]} of the {place}")
            no_numbers.append(
                f"{name} is {_as_written(card_value(source, in_file[name]))} in the {place}"
            )
    if missing_dmag == "zero":
        return Dmag(0.0, "missing_dmag")
    found = f"; {', '.join(no_numbers[:CARDS_SHOWN])}" if no_numbers else ""
    raise BadDataError(
        f"no DMAG (a number) in the coadd's header and no {' or '.join(_plain(keys))} in the"
        f' catalogue\'s{found}; set missing_dmag = "zero" if the pixels are calibrated already'
    )


def tile_dmag(ref: TileRef, image: str, missing_dmag: str) -> float:
    """DMAG of one image of a tile.

    Raises
    ------
    BadDataError
        If neither coadd nor catalogue has it (unless ``missing_dmag`` is ``zero``).
    """
    header = image_header(ref.images[image].sci) if image in ref.images else fits.Header()
    return find_dmag(header, dmag_cards(ref.catalogue), image, missing_dmag).value


def dmag_cards(catalogue: Path | None) -> fits.Header:
    """The DMAG cards of a catalogue's primary or table header; none if it cannot be read."""
    cards = fits.Header()
    if catalogue is None:
        return cards
    try:
        with explained(catalogue), fits.open(catalogue, memmap=True, lazy_load_hdus=True) as hdus:
            for hdu in (hdus[0], *hdus[1:2]):
                cards.extend(
                    (card for card in hdu.header.cards if card.keyword.upper().startswith("DMAG")),
                    unique=True,
                )
    except PhotozError:
        return fits.Header()
    return cards


def _plain(keys: Sequence[str]) -> list[str]:
    return [key for key in keys if not key.endswith("_1")]


def _as_written(value: object) -> str:
    return "TF"[not value] if isinstance(value, bool) else repr(value)
