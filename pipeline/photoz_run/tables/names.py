"""What a table is called where a file may hold several."""

from pathlib import Path


def split_name(path: Path) -> tuple[Path, str]:
    """``FILE#NAME`` as file and name; a file that is called so is a file."""
    if path.exists() or "#" not in path.name:
        return path, ""
    file, _, name = path.name.rpartition("#")
    return path.with_name(file or "."), name
