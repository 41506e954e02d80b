"""The area of a release as a MOC, the IVOA's map of coverage in HEALPix cells."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from photoz_run.catalogue.fits_cards import card
from photoz_run.catalogue.release_record import ReleaseRecord

ORDER = 14
"""Cells 13 arcsec wide; one that the edge of a coadd crosses counts as covered: 1% more for a tile of a degree."""
SKY = 360.0**2 / np.pi
"""The whole sky in square degrees."""


def covered_area(footprints: Iterable[Sequence[Sequence[float]]]) -> Any:
    """The union of coadds given by their corners (RA and Dec, deg), as a `mocpy.MOC`; those without corners add none.

    Masked areas inside a coadd are not taken out.
    """
    from astropy.coordinates import SkyCoord
    from mocpy import MOC

    corners = [np.asarray(one, np.float64) for one in footprints if len(one)]
    if not corners:
        return MOC.new_empty(ORDER)
    polygons = MOC.from_polygons([SkyCoord(one, unit="deg") for one in corners], max_depth=ORDER)
    # The union of one MOC with no other is refused.
    return polygons[0].union(*polygons[1:]) if len(polygons) > 1 else polygons[0]


def square_degrees(area: Any) -> float:
    """Its size."""
    return float(area.sky_fraction * SKY)


def write_moc(area: Any, path: Path, record: ReleaseRecord) -> None:
    """Write the area as FITS; the same area and record give the same bytes."""
    hdus = area.serialize(format="fits")
    cards = [
        card("OBJECT", record.name, "name of the release"),
        card("DATE", record.date, "when this file was written (UTC)"),
        card(
            "PROCSOFT",
            f"{record.program} ({record.commit})",
            "program that wrote this file, commit",
        ),
    ]
    hdus[1].header.extend(cards)
    for hdu in hdus:
        hdu.add_checksum(when="of the HDU as written")
    hdus.writeto(path)
