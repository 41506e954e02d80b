"""How numbers of things are said."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 tile``, ``2,000 tiles``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """A time as people say it: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def sized(number: int) -> str:
    """Bytes as people say them: ``13.4 MB``, ``5.95 GB``."""
    return f"{number / 1e9:,.2f} GB" if number >= 1e8 else f"{number / 1e6:,.1f} MB"
