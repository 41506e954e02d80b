"""The area of a release: the MOC covers as much of the sky as ``provenance.json`` says."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run.release.coverage import covered_area, square_degrees
from photoz_run.release.proof.check import Check, proven, verdict
from photoz_run.release.proof.judge import Judge
from photoz_run.release.proof.opened import Opened


class AreaJudge(Judge):
    """Proves the MOC; that every source lies in it is proven with the rows of Parquet."""

    def statements(self) -> Iterator[Check]:
        """The size of the area."""
        yield from proven("covered area", lambda: [check_area(self.opened)])


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

    return MOC.from_fits(opened.folder / f"{opened.provenance.name}_moc.fits")


def covered_ranges(opened: Opened) -> NDArray[np.uint64] | None:
    """The ranges of HEALPix indices (order 29) that are covered, [R, 2], in order.

    ``None`` for a release that has no MOC and says that its area is not known.
    """
    if opened.provenance.area_deg2 is None:
        return None
    ranges: NDArray[np.uint64] = read_area(opened).to_depth29_ranges
    return ranges
