"""The area of a release: the MOC covers as much of the sky as ``provenance.json`` says."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io import fits
from numpy.typing import NDArray

from photoz_run import flags
from photoz_run.release.coverage import covered_area, square_degrees
from photoz_run.release.proof.check import Check, proven, verdict
from photoz_run.release.proof.judge import Beside, Judge
from photoz_run.release.proof.opened import Opened
from photoz_run.release.proof.rules import Broken
from photoz_run.release.record import area_cards

HDUS = 2
OFF_COADD = flags.bit("EDGE") | flags.bit("NO_COVERAGE")
"""Sources with one of these may lie beside the coadds; all others lie on them."""
KNOWN_KEYWORDS = re.compile(
    "SIMPLE|XTENSION|BITPIX|NAXIS[12]?|EXTEND|PCOUNT|GCOUNT|TFIELDS|TFORM1|TTYPE1"
    "|MOC(VERS|DIM|TOOL|ORD_S)|ORDERING|COORDSYS|OBJECT|DATE|PROCSOFT|CHECKSUM|DATASUM"
)
"""All keywords of a MOC of a release."""


class AreaJudge(Judge):
    """Proves the MOC."""

    def statements(self) -> Iterator[Check]:
        """The size of the area, and the cards of its file."""
        yield from proven("provenance in the MOC", lambda: [check_area_cards(self.opened)])
        yield from proven("covered area", lambda: [check_area(self.opened)])

    def copies(self, stack: ExitStack) -> Iterator[Beside]:
        """That every source lies in it."""
        yield Beside("area", lambda: SourcesInArea(covered_ranges(self.opened)))


class SourcesInArea:
    """Looks for sources of Parquet outside the area.

    Parameters
    ----------
    covered_R2
        Ranges of the HEALPix index that are covered, in order.
    """

    def __init__(self, covered_R2: NDArray[np.uint64]) -> None:
        self._covered_R2 = covered_R2
        self._astray = Broken()
        self._explained = 0
        """Sources outside the area with a flag that says why."""

    def compare(self, batch: pa.Table, index_N: NDArray[np.int64]) -> None:
        """Look at the next rows."""
        outside_N = ~covered(index_N, self._covered_R2)
        flag_N = batch["PHOTOZ_FLAG"].fill_null(0).to_numpy()
        explained_N = (flag_N & OFF_COADD) != 0
        self._explained += int((outside_N & explained_N).sum())
        words = "outside the MOC, not flagged EDGE or NO_COVERAGE,"
        self._astray.note(batch, [(words, outside_N & ~explained_N)])

    def checks(self) -> Iterator[Check]:
        """Whether all sources that ought to lie in it do."""
        explained = ""
        if self._explained:
            explained = f"; {self._explained:,} flagged EDGE or NO_COVERAGE lie outside"
        good = f"every source lies in the MOC{explained}"
        yield verdict("area", self._astray.problems(), good)


def covered(index_N: NDArray[np.int64], range_R2: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which indices lie in one of the ranges (end excluded), which are in order."""
    if not len(range_R2):
        return np.zeros(len(index_N), bool)
    start_R, end_R = range_R2.astype(np.int64).T
    range_N = np.searchsorted(start_R, index_N, side="right") - 1
    return np.asarray((range_N >= 0) & (index_N < end_R[range_N]), np.bool_)


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


def covered_ranges(opened: Opened) -> NDArray[np.uint64]:
    """The ranges of HEALPix indices (order 29) that are covered, [R, 2], in order."""
    ranges: NDArray[np.uint64] = read_area(opened).to_depth29_ranges
    return ranges
