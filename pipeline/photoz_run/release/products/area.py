"""The area of a release as a MOC in a FITS file."""

from pathlib import Path
from typing import Any

from photoz_run.release.draft import Draft, Writer
from photoz_run.release.record import ReleaseRecord, area_cards


def write(draft: Draft, path: Path) -> None:
    """Write the area that the coadds cover."""
    write_moc(draft.area, path, draft.record)


def _known(draft: Draft) -> bool:
    return draft.area is not None


WRITER = Writer("_moc.fits", "the area that the coadds cover, a MOC", write, possible=_known)


def write_moc(area: Any, path: Path, record: ReleaseRecord) -> None:
    """Write a `mocpy.MOC` as FITS; the same area and record give the same bytes."""
    hdus = area.serialize(format="fits")
    hdus[1].header.extend(area_cards(record))
    for hdu in hdus:
        hdu.add_checksum(when="of the HDU as written")
    hdus.writeto(path)
