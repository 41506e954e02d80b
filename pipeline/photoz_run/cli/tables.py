"""Tables and counts as commands print them: within the width of the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

NARROWEST = 24
"""Characters that the last column has at least."""


def flag_lines(counts: Mapping[str, int], rows: int) -> Iterator[str]:
    """How many of ``rows`` sources carry each flag, the most frequent first."""
    for name, number in sorted(counts.items(), key=lambda item: -item[1]):
        yield f"  flag {name:<22}{number:>10,}  {number / max(rows, 1):6.1%}"


def print_aligned(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of texts below each other; on a terminal the last column is wrapped.

    Elsewhere a row is a line, for grep. No word is broken.
    """
    from rich.console import Console

    console = Console()
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    for *cells, last in rows:
        start = "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True))
        lines = [last]
        if console.is_terminal:
            room = max(NARROWEST, console.width - len(start))
            lines = wrap(last, room, break_long_words=False, break_on_hyphens=False) or [""]
        for number, line in enumerate(lines):
            print(f"{' ' * len(start) if number else start}{line}".rstrip())
