"""The quality bits of ``PHOTOZ_FLAG``.

One table gives the constants, the decoder, the docs and the FITS header. Bits 7-15 follow the order
of `MAGNITUDE_BANDS`. photoz-run never sets bits 24-30: they are the user's. Bit 31 is the sign bit
of the int32 column and unused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import index

import numpy as np
from numpy.typing import NDArray

from photoz_models.stamp_rule import MAGNITUDE_BANDS
from photoz_run.errors import ConfigError

USER_BITS = range(24, 31)
MANY = 50
"""Rows from which on it is odd that most of them carry a flag, or that none is selected."""


@dataclass(frozen=True)
class Flag:
    """One quality bit."""

    bit: int
    name: str
    description: str

    @property
    def value(self) -> int:
        """The bit as a mask, ``1 << bit``."""
        return 1 << self.bit


FLAGS = (
    Flag(0, "EDGE", "the stamp reaches past the edge of the coadd in at least one image band"),
    Flag(1, "NO_COVERAGE", "at least one image band has no usable pixel in the stamp"),
    Flag(
        2,
        "MASKED_PIXELS",
        "at least one stamp pixel is flagged in the msk image (these pixels are not used)",
    ),
    Flag(3, "BAD_PIXELS", "at least one covered stamp pixel is not finite or has zero weight"),
    Flag(4, "CENTRE_BAD", "a pixel of the central 4 x 4 is unusable in at least one image band"),
    Flag(5, "BAND_MISSING", "the tile has no coadd in at least one image band of the model"),
    Flag(6, "I_EPOCH_SUBSTITUTED", "the i image comes from another epoch than the model asks for"),
    *(
        Flag(
            7 + k,
            f"MAG_{band.upper()}_MISSING",
            f"no valid GAaP magnitude in {band} (99, -99, NaN or FLAG_GAAP set)",
        )
        for k, band in enumerate(MAGNITUDE_BANDS)
    ),
    Flag(
        16,
        "OUT_OF_DOMAIN",
        "the source lies outside the training set's domain (Z_DOMAIN > 1): extrapolated",
    ),
    Flag(17, "Z_LIMIT", "Z_PHOT lies at an end of the model's redshift range"),
    Flag(
        18,
        "NO_REDSHIFT",
        "no redshift: no usable pixel in any image band, or no valid magnitude at all",
    ),
    Flag(19, "MAG_UNMATCHED", "the external magnitude table has no row for this source"),
    Flag(
        20,
        "MAG_AMBIGUOUS",
        "the external magnitude table has several rows for this source; the nearest was taken",
    ),
    Flag(
        21, "SEEING_UNKNOWN", "the model reads the seeing, and a coadd's header lacks it (PSF_FWHM)"
    ),
)

BY_NAME = {flag.name: flag for flag in FLAGS}

NOT_FOR_SCIENCE_FLAGS = (
    "NO_COVERAGE",
    "CENTRE_BAD",
    "BAND_MISSING",
    "OUT_OF_DOMAIN",
    "Z_LIMIT",
    "NO_REDSHIFT",
)
"""The flags of the mask, in order of bit.

They tell of no redshift, or can cost a quarter of the precision; the others cost less. What each
costs was measured: see docs/decisions/science-cut.md.
"""

NOT_FOR_SCIENCE = sum(BY_NAME[name].value for name in NOT_FOR_SCIENCE_FLAGS)
"""The mask of the recommended cut, which every document and file states by this name."""

SCIENCE_CUT = f"(PHOTOZ_FLAG & {NOT_FOR_SCIENCE}) == 0"
"""The recommended cut as an expression."""

NOT_FOR_SCIENCE_WORDS = f"the mask of the recommended cut: {', '.join(NOT_FOR_SCIENCE_FLAGS)}"


def bit(name: str) -> np.int32:
    """The mask of the flag called ``name``; `KeyError` for an unknown name."""
    return np.int32(BY_NAME[name].value)


def mark(which_N: NDArray[np.bool_], name: str) -> NDArray[np.int32]:
    """The bit of the flag called ``name`` where ``which_N`` is True, else 0."""
    return np.where(which_N, bit(name), np.int32(0))


def decode(value: int) -> list[str]:
    """The names of the flags set in ``value``, in order of bit; one without a name is ``BIT_n``.

    Raises
    ------
    ConfigError
        If ``value`` is no integer from 0 to 2147483647.
    """
    try:
        bits = index(value)
    except TypeError:
        bits = -1
    if not 0 <= bits < 1 << 31:
        raise ConfigError(f"{value}: no PHOTOZ_FLAG, which is an integer from 0 to 2147483647")
    names = {flag.bit: flag.name for flag in FLAGS}
    return [names.get(k, f"BIT_{k}") for k in range(31) if bits >> k & 1]


def count(flags_N: NDArray[np.int32]) -> dict[str, int]:
    """How many sources carry each flag; flags that nothing carries are left out."""
    counts = {flag.name: int(np.count_nonzero(flags_N & flag.value)) for flag in FLAGS}
    return {name: n for name, n in counts.items() if n}


def remarks(counts: Mapping[str, int], rows: int) -> tuple[str, ...]:
    """What is odd about a tile with so many flagged rows: at most one remark.

    The flags of more than half of the rows are named. Missing magnitudes are not, which the checks
    of the catalogue look at.
    """
    if rows < MANY:
        return ()
    common = [name for name, n in counts.items() if 2 * n > rows and not name.startswith("MAG_")]
    return (f"more than half of the rows have {', '.join(common)}",) if common else ()
