"""Where the files of a survey are: folders of this machine, lists of addresses, and addresses."""

from pathlib import Path
from typing import Annotated

from pydantic import PlainValidator


def as_place(value: str | Path) -> Path | str:
    """An address as it stands: a path would lose one of its slashes; anything else is a path."""
    if not isinstance(value, str | Path):
        raise ValueError("give a folder, or an address such as https://...")
    return str(value) if "://" in str(value) else Path(value)


Place = Annotated[Path | str, PlainValidator(as_place)]
"""A folder, a list of addresses in a file, or an address (``https://...``, ``s3://...``)."""


def absolute(place: Path | str) -> Path | str:
    """The same place, whatever the folder in which a command runs."""
    return place.absolute() if isinstance(place, Path) else place
