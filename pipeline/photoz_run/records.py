"""The frozen records that cross a boundary of the program.

Names of arrays carry their axes: N sources, C image bands, B magnitude bands, S seeing bands,
H W pixels, Q quantiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_models.documents import Record


@dataclass(frozen=True)
class BandFiles:
    """The files of one band of one tile; weight and flag image are optional."""

    sci: Path
    wei: Path | None = None
    msk: Path | None = None

    def paths(self) -> list[Path]:
        """The files that exist, coadd first."""
        return [path for path in (self.sci, self.wei, self.msk) if path is not None]


@dataclass(frozen=True)
class TileRef:
    """Where one tile lies; ``data_release`` is DR4 or DR5.

    Image bands are named as in the file names (DR5 has i and i2).
    """

    tile: str
    data_release: str
    catalogue: Path | None
    images: Mapping[str, BandFiles]

    def paths(self) -> list[Path]:
        """Every file of the tile that exists, catalogue first."""
        images = [path for files in self.images.values() for path in files.paths()]
        return images if self.catalogue is None else [self.catalogue, *images]


@dataclass(frozen=True)
class Sources:
    """The selected sources of one tile, in output order (sorted by position).

    ``magnitudes_NB`` are GAaP magnitudes (AB, extinction corrected), NaN where missing.
    ``extinction_NC`` is A_x in the image bands (mag). ``columns`` holds the catalogue columns that
    travel to the output unchanged.
    """

    id_N: NDArray[np.str_]
    ra_N: NDArray[np.float64]
    dec_N: NDArray[np.float64]
    magnitudes_NB: NDArray[np.float32]
    extinction_NC: NDArray[np.float32]
    flags_N: NDArray[np.int32]
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    """What is odd in the catalogue, though it can be used."""

    def __len__(self) -> int:
        return len(self.id_N)

    def take(self, rows: slice | NDArray[np.intp]) -> "Sources":
        """The sources of ``rows``."""
        return Sources(
            self.id_N[rows],
            self.ra_N[rows],
            self.dec_N[rows],
            self.magnitudes_NB[rows],
            self.extinction_NC[rows],
            self.flags_N[rows],
            {name: values[rows] for name, values in self.columns.items()},
            self.remarks,
        )


@dataclass(frozen=True)
class Stamps:
    """Stamps in maggies, NaN where a pixel cannot be used.

    ``covered_NCHW`` is True where the stamp lies on the coadd. ``seeing_S`` is the FWHM (arcsec) of
    the coadds in the rule's ``seeing_bands``, NaN where it is not known.
    """

    flux_NCHW: NDArray[np.float32]
    covered_NCHW: NDArray[np.bool_]
    flags_N: NDArray[np.int32]
    seeing_S: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def beside(self, magnitudes_NB: NDArray[np.float32]) -> NDArray[np.float32]:
        """The table that enters a model: magnitudes of the same sources, then the seeing, NT."""
        return np.hstack([magnitudes_NB, np.tile(self.seeing_S, (len(magnitudes_NB), 1))])

    def take(self, rows: slice | NDArray[np.intp]) -> "Stamps":
        """The stamps of ``rows``."""
        return Stamps(
            self.flux_NCHW[rows], self.covered_NCHW[rows], self.flags_N[rows], self.seeing_S
        )


@dataclass(frozen=True)
class Prediction:
    """What the network says of each source, in the row order of `Sources`; NaN if nothing."""

    z_N: NDArray[np.float32]
    quantiles_NQ: NDArray[np.float32]
    domain_distance_N: NDArray[np.float32]
    flags_N: NDArray[np.int32]


def tile_group(tile: str) -> str:
    """The sub-folder of a tile's files: ``KIDS_180`` for ``KIDS_180.0_-0.5``.

    A parallel file system is slow in a folder with tens of thousands of files.
    """
    return tile.partition(".")[0]


class Status(StrEnum):
    """How a tile ended."""

    DONE = "DONE"
    NO_WORK = "NO_WORK"
    QUARANTINED = "QUARANTINED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Failure(Record):
    """A try of a tile that failed, and the host on which it ran."""

    host: str
    error: str
    """Class of the failure."""
    reason: str


@dataclass(frozen=True)
class Fetched(Record):
    """A file that was fetched from elsewhere, as it was then."""

    name: str
    url: str
    """Without passwords and signatures."""
    etag: str
    modified: str
    """UTC, ISO 8601; empty if its server did not tell."""
    bytes: int
    digest: str
    """sha256; empty where only ranges were fetched."""
    verified: str
    """By what: sha256 or md5 of a list, DATASUM, size, nothing; ``ranges`` were not verified."""
    moved: int
    """Bytes that came over the network."""
    pieces: int
    """Ranges that were asked for; 1 for a whole file."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TileResult(Record):
    """What was measured in a tile."""

    catalogue_rows: int | None = None
    """Rows of the tile's catalogue before the selection; ``None`` where nobody could count."""
    rows_in: int = 0
    rows_out: int = 0
    flag_counts: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    """Matched, unmatched and ambiguous magnitudes."""
    zero_points: Mapping[str, float] = field(default_factory=dict)
    """Median of stamp minus catalogue magnitude by image band.

    It checks that pixels and catalogue belong together.
    """
    zero_point_errors: Mapping[str, float] = field(default_factory=dict)
    """Standard errors of `zero_points`."""
    shifts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Median of the light's place minus the catalogue's position by image band: x, y in pixels."""
    dmag_cards: Mapping[str, str] = field(default_factory=dict)
    """The card that told DMAG, by image: ``DMAG of the coadd``, ``DMAG_I1 of the catalogue``."""
    quantisation: Mapping[str, float] = field(default_factory=dict)
    """Of coadds packed with loss: the step of rounding, in units of the sky noise."""
    seeing: Mapping[str, float] = field(default_factory=dict)
    """FWHM of the PSF (arcsec) by image, where the coadds' headers have it."""
    footprint: tuple[tuple[float, float], ...] = ()
    """Corners (RA and Dec, deg) of the r coadd, or of the first image there is.

    They bound the area that was searched.
    """
    bytes_read: int = 0
    """Bytes that were asked of the images, by the reading plan: pages, strips or whole files."""
    files: Mapping[str, str] = field(default_factory=dict)
    """sha256 of each output file by its name."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds spent in each step."""
    remarks: tuple[str, ...] = ()
    """What is odd in the catalogue, though it could be used."""


@dataclass(frozen=True)
class TileOutcome(TileResult):
    """How a tile ended: about 1 kB that a worker sends back and the ledger keeps.

    The ledger writes it last, as the commit mark of the tile.
    """

    tile: str
    status: Status
    inputs_digest: str
    run_digest: str
    host: str = ""
    provider: str = ""
    attempt: int = 1
    fetched: tuple[Fetched, ...] = ()
    """Its files from afar."""
    earlier: tuple[Failure, ...] = ()
    """The tries before this one."""
    ended: str = ""
    """UTC, ISO 8601."""
    error: str = ""
    """Class of the failure, empty when the tile is DONE or NO_WORK."""
    reason: str = ""
    traceback: str = ""
