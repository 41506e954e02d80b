"""How floating-point pixels were rounded when they were packed: funpack leaves what fpack told."""

import re
from dataclasses import dataclass

from astropy.io import fits

KEEPS_ZEROS = "SUBTRACTIVE_DITHER_2"
"""The way of rounding that gives zero back as zero."""

DITHERED = ("SUBTRACTIVE_DITHER_1", KEEPS_ZEROS)
"""Ways of rounding that make exactly zero of nothing else."""

_TOLD = re.compile(r"scaled integer quantization:\s*q = ([-+.\d]+).*?'(\w+)'", re.DOTALL)


@dataclass(frozen=True)
class Rounding:
    """``level`` is fpack's q: pixels have steps of noise / q, or of -q if it is negative."""

    level: float
    dither: str

    @property
    def keeps_zeros(self) -> bool:
        """Whether a zero comes back as zero."""
        return self.dither != "SUBTRACTIVE_DITHER_1"

    @property
    def makes_zeros(self) -> bool:
        """Whether other pixels become exactly zero."""
        return self.dither not in DITHERED

    def step(self, noise: float) -> float:
        """The step in which pixels were rounded, in units of the noise."""
        return 1 / self.level if self.level > 0 else -self.level / noise


def told_rounding(header: fits.Header) -> Rounding | None:
    """What a header tells of an image that was packed with loss; ``None`` if nothing."""
    if "HISTORY" not in header:
        return None
    told = _TOLD.search("\n".join(str(line) for line in header["HISTORY"]))
    if told is None or float(told[1]) == 0:
        return None
    return Rounding(float(told[1]), told[2])
