"""How numbers of things are said."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 tile``, ``2,000 tiles``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
