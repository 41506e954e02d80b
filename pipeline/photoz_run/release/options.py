"""What a release is to be."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from typing_extensions import Doc

from photoz_run.errors import ConfigError

WIDEST_MARGIN = 600.0
"""arcsec; a wider margin cache repeats more of the catalogue than it saves."""


@dataclass(frozen=True)
class ReleaseOptions:
    """The settings of one release: all that can change its files beside the run."""

    name: Annotated[str, Doc("name of the release; if absent, that of the run directory")]
    partial: Annotated[bool, Doc("go on without the tiles that the run lacks")] = False
    formats: Annotated[tuple[str, ...], Doc("fits, parquet, hats; hats needs the extra 'hats'")] = (
        "fits",
        "parquet",
    )
    margin: Annotated[
        float | None, Doc("width of a margin cache beside the HATS catalogue, arcsec")
    ] = None
    extend: Annotated[
        str, Doc("HATS catalogue of others that the HATS catalogue extends, its path or URL")
    ] = ""
    extend_id: Annotated[str, Doc("its column of the ID; if absent, ID")] = ""
    pdf: Annotated[
        bool, Doc("write the redshift distributions for qp; needs --quantiles in the run")
    ] = False
    keep: Annotated[tuple[str, ...], Doc("columns to take over from the input catalogues")] = ()
    attach: Annotated[Path | None, Doc("another table of any kind to join to the sources")] = None
    attach_by: Annotated[
        Literal["id", "position"], Doc("by ID, or by position within 1 arcsec")
    ] = "id"
    attach_columns: Annotated[
        tuple[str, ...], Doc("its columns, or COLUMN=NEWNAME; if absent, all")
    ] = ()
    ra: Annotated[str, Doc("its column of right ascension; if absent, recognised")] = ""
    dec: Annotated[str, Doc("its column of declination; if absent, recognised")] = ""
    id: Annotated[str, Doc("its column of the ID; if absent, ID")] = ""
    reference: Annotated[str, Doc("bibcode or DOI of the publication")] = ""
    update: Annotated[
        Path | None, Doc("older release; says what was added, changed and removed since")
    ] = None
    cards: Annotated[
        Path | None, Doc("TOML file with keywords of ESO's archive for the FITS file")
    ] = None
    authors: Annotated[tuple[str, ...], Doc("names of the authors, for CITATION.cff")] = ()

    @property
    def extend_column(self) -> str:
        """The column of the ID in the HATS catalogue that is extended; empty without one."""
        return (self.extend_id or "ID") if self.extend else ""

    def check(self) -> None:
        """Refuse what does not go together; `ConfigError` says what."""
        self._check_name()
        if "parquet" not in self.formats:
            raise ConfigError(
                "--formats must include parquet: the other files are made from it and compared"
                " with it"
            )
        if self.cards is not None and "fits" not in self.formats:
            raise ConfigError("--cards belongs to the FITS file: give --formats with fits in it")
        if self.cards is not None:
            # Here, so that help does not wait for it.
            from photoz_run.release.eso_cards import read_cards

            read_cards(self.cards)
        if self.margin is not None:
            self._check_margin(self.margin)
        self._check_extend()
        if self.attach_columns and self.attach is None:
            raise ConfigError("--attach-columns belongs to --attach: say which file")
        for option in ("ra", "dec", "id"):
            if getattr(self, option) and self.attach is None:
                raise ConfigError(f"--{option} names a column of --attach: say which file")

    def _check_name(self) -> None:
        allowed = (
            letter.isascii() and (letter.isalnum() or letter in "._-") for letter in self.name
        )
        if not self.name or not all(allowed):
            raise ConfigError(
                f"--name {self.name!r}: file names are made of it; use letters, digits and . _ -"
            )

    def _check_extend(self) -> None:
        if self.extend_id and not self.extend:
            raise ConfigError("--extend-id belongs to --extend: say which HATS catalogue")
        if self.extend and "hats" not in self.formats:
            raise ConfigError(
                "--extend belongs to the HATS catalogue: give --formats with hats in it"
            )
        if self.extend and "://" not in self.extend and not Path(self.extend).is_absolute():
            raise ConfigError(
                f"--extend {self.extend}: give a URL, or a path that begins with /: it is written"
                " into the release"
            )

    def _check_margin(self, margin: float) -> None:
        if "hats" not in self.formats:
            raise ConfigError(
                "--margin belongs to the HATS catalogue: give --formats with hats in it, or leave"
                " it out"
            )
        if not 0 < margin <= WIDEST_MARGIN:
            raise ConfigError(
                f"--margin {margin:g}: give a width in arcsec, up to {WIDEST_MARGIN:g}"
            )
