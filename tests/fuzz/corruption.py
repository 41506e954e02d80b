"""One seeded corruption of one file of a tile: of its header, its data, or its length."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PRODUCTS = ("sci", "wei", "msk", "cat")
VALUES = (
    *("T", "F", "'text'", "''", "", "0", "-1", "1", "7", "1E30", "-1D-3", "NaN", "999999999999"),
    *("0.5", "2.0", "180.0", "(1,2)", "'RA---TPV'", "'GLON-CAR'", "'FK4'", "1950.0"),
)
"""What stands after the = of a card instead of its value."""


@dataclass(frozen=True)
class Corruption:
    """What was done to a file: ``kind`` by name, ``words`` for a reader."""

    product: str
    kind: str
    words: str


def corrupt(path: Path, product: str, rng: np.random.Generator) -> Corruption:
    """Damage a file in one way; a gzipped one sometimes inside of its stream."""
    content = path.read_bytes()
    inside = path.suffix == ".gz" and rng.random() < 0.7
    if inside:
        content = gzip.decompress(content)
    kinds = HEADER_KINDS | DATA_KINDS if content.startswith(b"SIMPLE") else DATA_KINDS
    kind = str(rng.choice(list(kinds)))
    changed, words = kinds[kind](bytearray(content), rng)
    path.unlink()
    path.write_bytes(gzip.compress(bytes(changed), 1) if inside else bytes(changed))
    return Corruption(product, kind, f"{path.name}: {kind} {words}")


def _cards(content: bytearray) -> list[int]:
    """Where the cards of all headers begin, as far as they can be told."""
    starts = []
    for block in range(0, len(content), 2880):
        if content[block : block + 9] in (b"SIMPLE  =", b"XTENSION="):
            for at in range(block, len(content), 80):
                starts.append(at)
                if content[at : at + 8] == b"END     ":
                    break
    return starts


def change_value(content: bytearray, rng: np.random.Generator) -> tuple[bytearray, str]:
    at = int(rng.choice(_cards(content)))
    value = str(rng.choice(VALUES))
    content[at + 10 : at + 80] = value.rjust(20).ljust(70).encode()
    return content, f"{content[at : at + 8].decode('latin1')} = {value}"


def change_letter(content: bytearray, rng: np.random.Generator) -> tuple[bytearray, str]:
    at = int(rng.choice(_cards(content))) + int(rng.integers(0, 80))
    content[at] = int(rng.integers(0, 256))
    return content, f"byte {at} of a header"


def remove_card(content: bytearray, rng: np.random.Generator) -> tuple[bytearray, str]:
    at = int(rng.choice(_cards(content)))
    name = content[at : at + 8].decode("latin1")
    content[at : at + 80] = b"COMMENT".ljust(80)
    return content, name


def flip_bits(content: bytearray, rng: np.random.Generator) -> tuple[bytearray, str]:
    places = rng.integers(0, len(content), int(rng.integers(1, 60)))
    for place in places:
        content[place] ^= 1 << int(rng.integers(0, 8))
    return content, f"{len(places)} bits"


def fill(content: bytearray, rng: np.random.Generator) -> tuple[bytearray, str]:
    start, length = int(rng.integers(0, len(content))), int(2 ** rng.integers(6, 17))
    value = int(rng.choice([0, 0, 0, 255]))
    stop = min(len(content), start + length)
    content[start:stop] = bytes([value]) * (stop - start)
    return content, f"{stop - start} bytes from {start} are {value}"


def scramble(content: bytearray, rng: np.random.Generator) -> tuple[bytearray, str]:
    start, length = int(rng.integers(0, len(content))), int(2 ** rng.integers(4, 12))
    stop = min(len(content), start + length)
    content[start:stop] = rng.bytes(stop - start)
    return content, f"{stop - start} bytes from {start} at random"


def shift(content: bytearray, rng: np.random.Generator) -> tuple[bytearray, str]:
    at, length = int(rng.integers(0, len(content))), int(rng.integers(1, 5000))
    if rng.random() < 0.5:
        del content[at : at + length]
        return content, f"{length} bytes gone at {at}"
    content[at:at] = bytes(length)
    return content, f"{length} bytes put in at {at}"


def cut_short(content: bytearray, rng: np.random.Generator) -> tuple[bytearray, str]:
    size = int(rng.integers(0, len(content)))
    return content[:size], f"to {size} of {len(content)}"


Change = Callable[[bytearray, np.random.Generator], tuple[bytearray, str]]
HEADER_KINDS: dict[str, Change] = {
    "value": change_value,
    "letter": change_letter,
    "card": remove_card,
}
DATA_KINDS: dict[str, Change] = {
    "bits": flip_bits,
    "fill": fill,
    "scramble": scramble,
    "shift": shift,
    "short": cut_short,
}
