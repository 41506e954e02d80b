"""A number for each ID, by which equal IDs are found in little memory."""

from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from photoz_run.catalogue.arrow_fields import fixed_width, longest_text

WORD = 8
"""Bytes of an ID that are mixed in at once."""
MIX = np.uint64(0x9E3779B97F4A7C15)
"""An odd number near 2**64 divided by the golden ratio: multiplying by it spreads bits well."""

Texts: TypeAlias = pa.Array | pa.ChunkedArray


def id_numbers(ids: Texts) -> NDArray[np.uint64]:
    """A number of 64 bits for each ID.

    An ID has the same number on every machine and among any others; different IDs hardly ever
    have the same.
    """
    words = max(1, -(-longest_text(ids) // WORD))
    word_NW = fixed_width(ids, words * WORD).view("<u8").reshape(len(ids), words)
    number_N = np.zeros(len(ids), np.uint64)
    for word_N in np.ascontiguousarray(word_NW.T):
        mixed_N = number_N ^ word_N
        mixed_N *= MIX
        mixed_N ^= mixed_N >> np.uint64(29)
        # A word of padding changes nothing: the number must not depend on the longest ID.
        number_N = np.where(word_N == 0, number_N, mixed_N)
    return number_N
