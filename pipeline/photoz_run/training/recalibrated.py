"""What a recalibration changes, in words."""

from collections.abc import Iterator, Sequence

import numpy as np

from photoz_models.level_map import INTERVALS, HeldOut, LabelledQuantiles

PROMISED = {"coverage_68": "68%", "coverage_95": "95%"}


def as_table(labelled: LabelledQuantiles, measured: Sequence[HeldOut]) -> Iterator[str]:
    """Lines within 80 columns: how often intervals hold the redshift, before and after."""
    tiles = len(np.unique(labelled.tile_N))
    where = "1 tile" if tiles == 1 else f"{tiles:,} tiles"
    yield f"{labelled.name}: {len(labelled):,} galaxies in {where}"
    if not measured:
        yield "too few tiles or galaxies to hold some out: what it changes is not measured"
        return
    names = [name for name in INTERVALS if name in measured[0].before]
    yield "on tiles that were held out, the intervals hold the redshift of"
    yield f"{'':<18}{'galaxies':>10}" + "".join(
        f"{PROMISED[name] + ' before':>13}{'after':>8}" for name in names
    )
    for row in measured:
        cells = (f"{row.before[name]:>13.1%}{row.after[name]:>8.1%}" for name in names)
        yield f"{row.label:<18}{row.number:>10,}" + "".join(cells)
