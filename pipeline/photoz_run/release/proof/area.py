"""The area of a release: the MOC covers as much of the sky as ``provenance.json`` says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from photoz_run.release.coverage import covered_area, square_degrees
from photoz_run.release.proof.check import Check, proven, verdict
from photoz_run.release.proof.judge import Judge
from photoz_run.release.proof.opened import Opened
from photoz_run.release.record import area_cards

HDUS = 2
KNOWN_KEYWORDS = re.compile(
    "SIMPLE|XTENSION|BITPIX|NAXIS[12]?|EXTEND|PCOUNT|GCOUNT|TFIELDS|TFORM1|TTYPE1"
    "|MOC(VERS|DIM|TOOL|ORD_S)|ORDERING|COORDSYS|OBJECT|DATE|PROCSOFT|CHECKSUM|DATASUM"
)
"""All keywords of a MOC of a release."""


class AreaJudge(Judge):
    """Proves the MOC; that every source lies in it is proven with the rows of Parquet."""

    def statements(self) -> Iterator[Check]:
        """The size of the area, and the cards of its file."""
        yield from proven("provenance in the MOC", lambda: [check_area_cards(self.opened)])
        yield from proven("covered area", lambda: [check_area(self.opened)])


def check_area_cards(opened: Opened) -> Check:
    """Compare the cards of the MOC with the provenance."""
    expected = {card[0]: card for card in area_cards(opened.record)}
    problems = []
    with fits.open(_path(opened)) as hdus:
        if len(hdus) != HDUS:
            problems.append(f"{len(hdus)} HDUs, not {HDUS}")
        headers = [hdu.header for hdu in hdus]
    for header in headers:
        strange = [keyword for keyword in header if not KNOWN_KEYWORDS.fullmatch(keyword)]
        problems += [f"{keyword} is no card of a MOC" for keyword in strange]
    for card in headers[1].cards:
        stated = expected.pop(card.keyword, tuple(card))
        if tuple(card) != stated:
            problems.append(f"{card.keyword} is {card.value!r}, not {stated[1]!r}")
    problems += [f"{keyword} is missing" for keyword in expected]
    return verdict("provenance in the MOC", problems, "as in provenance.json")


def check_area(opened: Opened) -> Check:
    """Compare the size of the area with the one that is stated."""
    covered, stated = round(square_degrees(read_area(opened)), 4), opened.provenance.area_deg2
    problems = []
    if covered != stated:
        problems.append(f"the MOC covers {covered} square degrees, provenance.json says {stated}")
    corners = [tile.footprint for tile in opened.provenance.tiles]
    # Releases of 0.1.0 do not say the corners.
    if any(corners) and read_area(opened) != covered_area(corners):
        problems.append("the MOC is not that of the corners in provenance.json")
    return verdict("covered area", problems, f"{covered} square degrees")


def read_area(opened: Opened) -> Any:
    """The area of the release, a `mocpy.MOC`."""
    from mocpy import MOC

    return MOC.from_fits(_path(opened))


def _path(opened: Opened) -> Path:
    return opened.folder / f"{opened.provenance.name}_moc.fits"


def covered_ranges(opened: Opened) -> NDArray[np.uint64] | None:
    """The ranges of HEALPix indices (order 29) that are covered, [R, 2], in order.

    ``None`` for a release that has no MOC and says that its area is not known.
    """
    if opened.provenance.area_deg2 is None:
        return None
    ranges: NDArray[np.uint64] = read_area(opened).to_depth29_ranges
    return ranges
