"""Tables and counts as commands print them: within the width of the terminal."""

from collections.abc import Iterator, Mapping


def flag_lines(counts: Mapping[str, int], rows: int) -> Iterator[str]:
    """How many of ``rows`` sources carry each flag, the most frequent first."""
    for name, number in sorted(counts.items(), key=lambda item: -item[1]):
        yield f"  flag {name:<22}{number:>10,}  {number / max(rows, 1):6.1%}"
