"""Texts as numbers of 64 bits: memory holds 160 MB of twenty million IDs, and equal ones meet."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from photoz_run.tables.canonical import TEXT

WORD = 8
"""Bytes of a word."""


def text_hashes(values: pa.ChunkedArray) -> NDArray[np.uint64]:
    """A number for each text, the same for the same text; 0 where it is missing.

    That two of twenty million different texts share one has a probability of 1e-5.
    """
    texts = pc.fill_null(values.cast(TEXT), "")
    longest = pc.max(pc.binary_length(texts)).as_py() or 1
    words = -(-longest // WORD)
    padded = pc.ascii_rpad(texts, words * WORD, padding="\0")
    parts = [_words(chunk, words) for chunk in padded.chunks]
    hash_N = np.zeros(len(padded), np.uint64)
    for k, word_N in enumerate(np.concatenate([np.zeros((0, words), np.uint64), *parts]).T):
        # A word of the padding changes nothing, whatever the width of the longest text.
        mixed_N = _mixed(hash_N ^ _mixed(word_N + np.uint64(k + 1)))
        hash_N = np.where(word_N == 0, hash_N, mixed_N)
    return hash_N


def _words(padded: pa.LargeStringArray, words: int) -> NDArray[np.uint64]:
    """Texts of one width lie one after the other in memory."""
    _, offsets, data = padded.buffers()
    if data is None or not len(padded):
        return np.zeros((0, words), np.uint64)
    start = int(np.frombuffer(offsets, np.int64)[padded.offset])
    length = len(padded) * words
    content = np.frombuffer(data, np.uint8, length * WORD, start)
    return content.copy().view(np.uint64).reshape(len(padded), words)


def _mixed(word_N: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014), a one-to-one map."""
    mixed = (word_N ^ (word_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
