"""The records of ``provenance.json``: all that a release says of its making, for programs."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

import pyarrow as pa

from photoz_models.documents import Record, read_document
from photoz_run.alike import TileGroup, alike
from photoz_run.catalogue.arrow_fields import about
from photoz_run.flags import NOT_FOR_SCIENCE, NOT_FOR_SCIENCE_FLAGS
from photoz_run.release.accounting import TileAccount, Totals
from photoz_run.release.eso_cards import CardValue
from photoz_run.release.folder import PROVENANCE

ChangeStatus: TypeAlias = Literal["added", "changed", "removed", "unchanged"]
"""What an update did to a tile."""


@dataclass(frozen=True)
class MissingTile(Record):
    """A tile of the run that is not in the release."""

    tile: str
    reason: str


@dataclass(frozen=True)
class ModelFacts(Record):
    """The model that measured the redshifts."""

    name: str
    version: str
    digest: str
    training: str
    simulated_training: bool
    redshift_range: tuple[float, float] | None
    """``None`` in releases of runs that did not record it."""


@dataclass(frozen=True)
class RunFacts(Record):
    """The run whose tiles were merged."""

    program: str
    """With its version."""
    commit: str
    packages: tuple[str, ...]
    """Versions of the libraries; several entries if they changed while the run went on."""
    run_digest: str
    config_digest: str
    config: Mapping[str, Any]
    """Its settings, as its own version of the program names them."""
    computed_on: Mapping[str, int] = field(default_factory=dict)
    """Tiles by what the network ran on; nothing in releases before this was told."""


@dataclass(frozen=True)
class OptionFacts(Record):
    """What was asked for."""

    formats: tuple[str, ...]
    margin_arcsec: float | None
    pdf: bool
    keep: tuple[str, ...]
    partial: bool
    cards: Mapping[str, CardValue] = field(default_factory=dict)
    """Keywords of ESO's archive."""
    extends: str = ""
    """The HATS catalogue of others that the HATS catalogue extends, and its column of the ID."""
    extends_id: str = ""


@dataclass(frozen=True)
class DuplicateFacts(Record):
    """How many sources were measured in several tiles, and which row of each was kept."""

    rule: str
    largest_separation_arcsec: float
    sources: int
    rows_left_out: int


@dataclass(frozen=True)
class ColumnFacts(Record):
    """A column of the catalogue."""

    name: str
    type: str
    null: bool
    unit: str
    ucd: str
    description: str

    @classmethod
    def of(cls, column: pa.Field) -> "ColumnFacts":
        """What a field says of its column."""
        metadata = about(column)
        return cls(
            name=column.name,
            type=str(column.type),
            null=column.nullable,
            unit=metadata.get("unit", ""),
            ucd=metadata.get("ucd", ""),
            description=metadata.get("description", ""),
        )


@dataclass(frozen=True)
class AttachedFile(Record):
    """A file of a table that was attached."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class AttachedFacts(Record):
    """A table whose columns were attached."""

    files: tuple[AttachedFile, ...]
    by: Literal["id", "position"]
    radius_arcsec: float | None
    columns: Mapping[str, str]
    """Name in the release by name in the table."""
    matched: int
    unmatched: int
    ambiguous: int
    key: tuple[str, ...] = ()
    """Its columns that were compared; releases of 0.1.0 do not say them."""


@dataclass(frozen=True)
class ScienceCut(Record):
    """The recommended cut: rows that have none of the bits of ``mask`` in PHOTOZ_FLAG."""

    name: str = "NOT_FOR_SCIENCE"
    mask: int = NOT_FOR_SCIENCE
    flags: tuple[str, ...] = NOT_FOR_SCIENCE_FLAGS


@dataclass(frozen=True)
class ProductFacts(Record):
    """A product of the release: a file or a folder."""

    path: str
    rows: int | None
    what: str


@dataclass(frozen=True)
class SourceFile(Record):
    """An input file of a tile; ``bytes`` is -1 for one that was not there."""

    name: str
    bytes: int
    url: str = ""
    """Where a file from afar came from, with what identifies it."""
    etag: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class TileFacts(TileAccount):
    """A tile of the run: where its rows went, and what it was made from."""

    inputs: tuple[SourceFile, ...]
    inputs_digest: str
    tile_file_sha256: str
    """Empty for a tile without a file."""
    footprint: tuple[tuple[float, float], ...] = ()
    """Corners (RA and Dec, deg) of its r coadd; empty where no coadd was read."""
    remarks: tuple[str, ...] | None = None
    """What is odd about it, though it could be used; ``None`` in releases before this was told."""

    @property
    def account(self) -> TileAccount:
        """Where its rows went."""
        return TileAccount(*(getattr(self, part.name) for part in fields(TileAccount)))


@dataclass(frozen=True)
class TileChange(Record):
    """How many sources of a tile an update added, changed and removed."""

    tile: str
    status: ChangeStatus
    added: int
    changed: int
    removed: int
    """Sources that the older release has in this tile, and this one has nowhere."""


@dataclass(frozen=True)
class UpdateFacts(Record):
    """The older release that this one updates, and what differs."""

    name: str
    date: str
    provenance_sha256: str
    model: str
    model_digest: str
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    added: int
    changed: int
    removed: int
    unchanged: int
    tiles: tuple[TileChange, ...]


@dataclass(frozen=True)
class ReleaseProvenance(Record):
    """All of ``provenance.json``, in its order."""

    SCHEMA: ClassVar[int] = 1
    REMEDY: ClassVar[str] = "make the release again"

    schema: int
    name: str
    program: str
    """That merged the tiles, with its version."""
    commit: str
    date: str
    reference: str
    input_releases: tuple[str, ...]
    partial: bool
    missing: tuple[MissingTile, ...]
    model: ModelFacts
    run: RunFacts
    options: OptionFacts
    duplicates: DuplicateFacts
    rows: int
    accounting: Totals
    columns: tuple[ColumnFacts, ...]
    area_deg2: float | None
    """``None`` if the run did not read the coadds of every tile."""
    flags: Mapping[str, int]
    """Rows with each quality bit that is set in any."""
    attached: tuple[AttachedFacts, ...]
    products: tuple[ProductFacts, ...]
    validation: tuple[tuple[str, str], ...]
    """Words and values of the run's validation, empty if there was none."""
    tiles: tuple[TileFacts, ...]
    authors: tuple[str, ...] = ()
    """Names, as they were given."""
    deviant: tuple[str, ...] = ()
    """Tiles whose zero-point lies off those of the others, by band, with the sigma."""
    science_cut: ScienceCut = field(default_factory=ScienceCut)

    update: UpdateFacts | None = None
    """What differs from an older release, if one was named."""

    @property
    def remarks(self) -> tuple[TileGroup, ...]:
        """What is odd about its tiles, said once for all tiles alike."""
        return alike((one.tile, remark) for one in self.tiles for remark in one.remarks or ())

    def has_product(self, path: str) -> bool:
        """Whether a product lies at this path in the folder."""
        return any(product.path == path for product in self.products)


def read_provenance(folder: Path) -> ReleaseProvenance:
    """The provenance of the release in ``folder``.

    Raises
    ------
    DocumentError
        If it cannot be read or does not fit; the message names the file and the field.
    """
    return read_document(ReleaseProvenance, folder / PROVENANCE)


def without_none(settings: Any) -> Any:
    """Settings that have a value, at all levels: TOML has no null."""
    if isinstance(settings, Mapping):
        return {key: without_none(value) for key, value in settings.items() if value is not None}
    if isinstance(settings, (list, tuple)):
        return [without_none(value) for value in settings]
    return settings


def text_lines(counts: Totals) -> list[str]:
    """The accounting as lines of the table ``texts``."""
    return [f"{name} {number}" for name, number in asdict(counts).items()]


def remark_lines(tiles: Iterable[TileFacts]) -> list[str]:
    """What is odd about tiles as lines of the table ``texts``."""
    return [f"{tile.tile}: {remark}" for tile in tiles for remark in tile.remarks or ()]
