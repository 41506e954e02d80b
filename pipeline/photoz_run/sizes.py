"""Sizes as people write them: ``4GB`` of memory, a window of ``200GB`` or of ``12`` tiles."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """How much a window may hold: so many tiles, or so many bytes."""

    tiles: int | None = None
    bytes: int | None = None


def room_of(text: str) -> Room:
    """The room of ``12`` (tiles) or ``200GB``; `ValueError` if it is neither."""
    if text.isascii() and text.isdigit():
        room = Room(tiles=int(text))
    else:
        try:
            room = Room(bytes=memory_bytes(text))
        except ValueError:
            raise ValueError("give a size such as 200GB, or a number of tiles") from None
    if not (room.tiles or room.bytes):
        raise ValueError("a window needs room for a tile")
    return room


def memory_bytes(text: str) -> int:
    """Bytes of a size such as ``4GB``, ``512MiB`` or ``4e9``; `ValueError` if it is none."""
    match = re.fullmatch(r"\s*([\d.]+(?:e\d+)?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError("give a size such as 4GB")
    number, unit, binary = match.groups()
    base = 1024 if binary else 1000
    return int(float(number) * base ** ("KMGT".index(unit.upper()) + 1 if unit else 0))
