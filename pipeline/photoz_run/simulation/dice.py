"""Random numbers that belong to an object, not to a sequence.

Each object has a 64-bit key, and a draw is a hash of the key and the draw's name. So an object has
the same properties in whichever tile, order or process it is made. A new property does not disturb
the others.
"""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)

Floats = NDArray[np.float64]


def scramble(key_N: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014): one-to-one, and looks random."""
    mixed = (key_N ^ (key_N >> np.uint64(30))) * MULTIPLIER_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * MULTIPLIER_2
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def keys(words: list[int], n: int) -> NDArray[np.uint64]:
    """``n`` keys for the objects of the population named by ``words`` (survey seed, cell, kind)."""
    start = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    number_N = np.arange(1, n + 1, dtype=np.uint64)
    return scramble(start + GOLDEN * number_N)


@dataclass(frozen=True)
class Dice:
    """Named draws for objects with the given keys; every draw has shape (N,), or (N, count)."""

    key_N: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.key_N)

    def uniform(self, name: str) -> Floats:
        """Uniform in the open interval (0, 1)."""
        with np.errstate(over="ignore"):
            bits_N = scramble(self.key_N + GOLDEN * _salt(name))
        # A double has 53 bits; the half keeps 0 and 1 out.
        top_N = (bits_N >> np.uint64(11)).astype(np.float64)
        return np.asarray((top_N + 0.5) * 2.0**-53)

    def normal(self, name: str) -> Floats:
        """Standard normal, by Box and Muller."""
        radius_N = np.sqrt(-2 * np.log(self.uniform(name + ".radius")))
        angle_N = 2 * np.pi * self.uniform(name + ".angle")
        return np.asarray(radius_N * np.cos(angle_N))

    def beta(self, name: str, a: float, b: float) -> Floats:
        """Beta distributed, by inversion of the tabulated distribution function."""
        x = (np.arange(4000) + 0.5) / 4000
        density = x ** (a - 1) * (1 - x) ** (b - 1)
        cumulative = np.cumsum(density)
        upper_ends = x + 0.5 / 4000
        return np.interp(self.uniform(name), cumulative / cumulative[-1], upper_ends)

    def choice(self, name: str, weights: Floats) -> NDArray[np.intp]:
        """Index drawn with probability proportional to ``weights``."""
        cumulative = np.cumsum(weights)
        return np.searchsorted(cumulative / cumulative[-1], self.uniform(name))

    def many(self, name: str, count: int) -> "Dice":
        """Dice of ``count`` parts of each object, N * count in all, those of an object in a row."""
        part_C = np.arange(1, count + 1, dtype=np.uint64)
        with np.errstate(over="ignore"):
            salt_C = _salt(name) + (part_C << np.uint64(33))
            key_NC = scramble(self.key_N[:, None] + GOLDEN * salt_C)
        return Dice(key_NC.ravel())


def _salt(name: str) -> np.uint64:
    """The name of a draw as a number."""
    return np.uint64(crc32(name.encode()) + 1)
