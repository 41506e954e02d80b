"""The area on the sky that coadds cover, as a MOC (the IVOA's map of coverage in HEALPix cells)."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

MOC_ORDER = 14
"""Cells 13 arcsec wide. A cell that the edge of a coadd crosses counts as covered, which makes a
tile of a degree 1% larger."""
WHOLE_SKY = 360.0**2 / np.pi
"""In square degrees."""


def covered_area(footprints: Iterable[Sequence[Sequence[float]]]) -> Any:
    """The union of coadds as a `mocpy.MOC`.

    Masked areas inside a coadd are not taken out.

    Parameters
    ----------
    footprints
        Corners (RA and Dec, deg) of each coadd; one without corners adds no area.
    """
    from astropy.coordinates import SkyCoord
    from mocpy import MOC

    outlines = [np.asarray(corners, np.float64) for corners in footprints if len(corners)]
    if not outlines:
        return MOC.new_empty(MOC_ORDER)
    coordinates = [SkyCoord(corners_K2, unit="deg") for corners_K2 in outlines]
    coadds = MOC.from_polygons(coordinates, max_depth=MOC_ORDER)
    # mocpy refuses the union of a MOC with no other one.
    return coadds[0].union(*coadds[1:]) if len(coadds) > 1 else coadds[0]


def square_degrees(area: Any) -> float:
    """The size of a `mocpy.MOC`."""
    return float(area.sky_fraction * WHOLE_SKY)
