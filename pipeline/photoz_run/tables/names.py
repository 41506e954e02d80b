"""What a table is called where a file may hold several."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def split_name(path: Path) -> tuple[Path, str]:
    """``FILE#NAME`` as file and name; a file that is called so is a file."""
    if path.exists() or "#" not in path.name:
        return path, ""
    file, _, name = path.name.rpartition("#")
    return path.with_name(file or "."), name


def told_apart(names: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """Names of the tables of a file; the number of one without a name, or with that of another."""
    if len(names) == 1:
        return [""]
    often = Counter(names)
    pairs = zip(names, numbers, strict=True)
    return [name if name and often[name] == 1 else str(number) for name, number in pairs]
