"""What a release is to be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from photoz_run.errors import ConfigError

FORMATS = ("parquet", "fits", "hats")
WIDEST_MARGIN = 600.0
"""arcsec; a wider margin cache repeats more of the catalogue than it saves."""


@dataclass(frozen=True)
class ReleaseOptions:
    """The settings of one release; all that can change its files beside the run."""

    name: str
    partial: bool = False
    formats: tuple[str, ...] = ("fits", "parquet")
    margin: float | None = None
    """Width of the margin cache of the HATS catalogue, arcsec."""
    pdf: bool = False
    keep: tuple[str, ...] = ()
    attach: Path | None = None
    attach_by: Literal["id", "position"] = "id"
    attach_columns: tuple[str, ...] = ()
    reference: str = ""
    """Bibcode or DOI of the publication."""

    def check(self) -> None:
        """Refuse what does not go together; `ConfigError` says what."""
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise ConfigError(
                f"--formats {unknown[0]}: not known; the formats are {', '.join(FORMATS)}"
            )
        if "parquet" not in self.formats:
            raise ConfigError(
                "--formats must include parquet: the other files are made from it and compared with it"
            )
        if self.margin is not None and "hats" not in self.formats:
            raise ConfigError(
                "--margin belongs to the HATS catalogue: give --formats with hats in it, or leave it out"
            )
        if self.margin is not None and not 0 < self.margin <= WIDEST_MARGIN:
            raise ConfigError(
                f"--margin {self.margin:g}: give a width in arcsec, up to {WIDEST_MARGIN:g}"
            )
        if not self.name or not all(
            letter.isascii() and (letter.isalnum() or letter in "._-") for letter in self.name
        ):
            raise ConfigError(
                f"--name {self.name!r}: file names are made of it; use letters, digits and . _ -"
            )
        if self.attach_columns and self.attach is None:
            raise ConfigError("--attach-columns belongs to --attach: say which file")
