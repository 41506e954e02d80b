"""From stored numbers to values: BSCALE, BZERO and BLANK."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from photoz_run.images.header import card_value, number


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
    scale, zero = _number(header, "BSCALE"), _number(header, "BZERO")
    if scale == 0:
        raise ValueError("BSCALE is 0")
    # BLANK belongs to integers; floating-point images have NaN for it.
    blank = _blank(header) if header["BITPIX"] > 0 else None
    return Scaling(1.0 if scale is None else scale, zero or 0.0, blank)


def _blank(header: fits.Header) -> int | None:
    # With every digit: a pixel has up to 64 bits, a floating-point number 53.
    value = card_value(header, "BLANK")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    blank = _number(header, "BLANK")
    return None if blank is None else int(blank)


def _number(header: fits.Header, key: str) -> float | None:
    """The number of a card, ``None`` if there is no such card."""
    value = number(header, key)
    if value is None and key in header:
        raise ValueError(f"{key} is {card_value(header, key)!r}, which is no number")
    return value
