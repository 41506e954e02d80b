"""Which pairs share errors: those of one tile, or of one region of the sky."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.science.sky_regions import sky_regions
from photoz_run.validation.tables import Columns

FEWEST_TILES = 8
"""From fewer tiles the scatter of tiles is not known."""

CHUNK = 1 << 20


@dataclass(frozen=True)
class Grouping:
    """The group of each pair; ``words`` say what the groups are, and why."""

    words: str
    group_N: NDArray[np.int32] = field(repr=False)


def group_pairs(columns: Columns) -> Grouping:
    """By tile where pairs lie in `FEWEST_TILES` tiles or more, else by region of the sky."""
    why = "the tiles are not known"
    if "KIDS_TILE" in columns:
        names, tile_N = text_codes(columns["KIDS_TILE"])
        if len(names) >= FEWEST_TILES:
            return Grouping(f"{len(names):,} tiles", tile_N)
        why = f"{len(names)} tile{'s are' if len(names) > 1 else ' is'} too few"
    region_N = sky_regions(columns["RA"], columns["DEC"])
    regions = int(region_N.max()) + 1 if len(region_N) else 0
    if regions < 2:
        return Grouping(f"single galaxies, since {why} and so are the pairs", region_N)
    return Grouping(f"{regions} regions of the sky, since {why}", region_N)


def text_codes(values_N: NDArray[Any]) -> tuple[NDArray[np.str_], NDArray[np.int32]]:
    """The values of a column of text in their order, and the number of each row's value."""
    place: dict[str, int] = {}
    code_N = np.empty(len(values_N), np.int32)
    for start in range(0, len(values_N), CHUNK):
        part = pa.array(values_N[start : start + CHUNK].astype(object)).dictionary_encode()
        places = [place.setdefault(str(name), len(place)) for name in part.dictionary.to_pylist()]
        code_N[start : start + len(part)] = np.array(places, np.int32)[part.indices.to_numpy()]
    names = np.array(list(place), str)
    order = np.argsort(names)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    return names[order], rank[code_N]
