"""From stored numbers to values: BSCALE, BZERO and BLANK."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from photoz_run.images.header import number


@dataclass(frozen=True)
class Scaling:
    """How stored numbers become values: ``scale * number + zero``, NaN for ``blank``."""

    scale: float = 1.0
    zero: float = 0.0
    blank: int | None = None

    def values(self, stored: NDArray[Any]) -> NDArray[Any]:
        """The values; the array itself where nothing is to be done."""
        values = stored
        if (self.scale, self.zero) != (1.0, 0.0):
            values = stored * self.scale + self.zero
        if self.blank is None:
            return values
        undefined = stored == self.blank
        return np.where(undefined, np.nan, values) if undefined.any() else values


def read_scaling(header: fits.Header) -> Scaling:
    """The scaling that a header tells.

    Raises
    ------
    ValueError
        If BSCALE, BZERO or BLANK is there and no number.
    """
    found = {key: number(header, key) for key in ("BSCALE", "BZERO", "BLANK") if key in header}
    for key, value in found.items():
        if value is None and (key != "BLANK" or header["BITPIX"] > 0):
            raise ValueError(f"{key} is {header[key]!r}, which is no number")
    blank = found.get("BLANK")
    # BLANK belongs to integers; floating-point images have NaN for it.
    if header["BITPIX"] < 0 or blank is None:
        return Scaling(found.get("BSCALE") or _one(found), found.get("BZERO") or 0.0)
    return Scaling(found.get("BSCALE") or _one(found), found.get("BZERO") or 0.0, int(blank))


def _one(found: dict[str, float | None]) -> float:
    if found.get("BSCALE") == 0:
        raise ValueError("BSCALE is 0")
    return 1.0
