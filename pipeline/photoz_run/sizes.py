"""Sizes as people write them: ``4GB``."""

import re


def memory_bytes(text: str) -> int:
    """Bytes of a size such as ``4GB``, ``512MiB`` or ``4e9``; `ValueError` if it is none."""
    match = re.fullmatch(r"\s*([\d.]+(?:e\d+)?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError("give a size such as 4GB")
    number, unit, binary = match.groups()
    base = 1024 if binary else 1000
    return int(float(number) * base ** ("KMGT".index(unit.upper()) + 1 if unit else 0))
